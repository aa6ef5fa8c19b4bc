// What a page sees and hears of a call, four times a second: for tests that watch
// for a while, in any browser.

/** Begins to note it; runs in the page. connections are those of the page. */
export function note() {
  window.noted = []
  const began = performance.now()
  setInterval(async () => {
    const pc = window.connections?.at(-1)
    if (!pc || pc.connectionState !== 'connected') return
    const n = { at: performance.now() - began, decoded: 0, width: 0, energy: 0, played: 0, concealed: 0, rate: 0 }
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'inbound-rtp' && s.kind === 'video') {
        n.decoded = s.framesDecoded ?? 0
        n.width = s.frameWidth ?? 0
      }
      if (s.type === 'inbound-rtp' && s.kind === 'audio') {
        n.energy = s.totalAudioEnergy ?? 0
        n.played = s.totalSamplesReceived ?? 0
        n.concealed = (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0)
      }
      if (s.type === 'outbound-rtp' && s.kind === 'video') n.rate = s.targetBitrate ?? 0
    }
    window.noted.push(n)
  }, 250)
}

const share = (part, of) => Math.round((10_000 * part) / Math.max(1, of)) / 10_000

/** What the notes say as a whole, and of each of some windows, in milliseconds. */
export function sum(noted, window) {
  const first = noted[0]
  const last = noted.at(-1)
  let still = 0
  let moved = first
  for (const n of noted) {
    if (n.decoded > moved.decoded) moved = n
    still = Math.max(still, n.at - moved.at)
  }
  const windows = []
  for (let at = first.at; at + window <= last.at; at += window) {
    const of = noted.filter((n) => n.at >= at && n.at <= at + window)
    windows.push({
      pictures: of.at(-1).decoded - of[0].decoded,
      energy: of.at(-1).energy - of[0].energy,
      concealed: share(of.at(-1).concealed - of[0].concealed, of.at(-1).played - of[0].played),
    })
  }
  return {
    seconds: Math.round((last.at - first.at) / 1000),
    perSecond: Math.round((10_000 * (last.decoded - first.decoded)) / (last.at - first.at)) / 10,
    still: Math.round(still),
    concealed: share(last.concealed - first.concealed, last.played - first.played),
    width: last.width,
    rate: last.rate,
    windows,
  }
}
