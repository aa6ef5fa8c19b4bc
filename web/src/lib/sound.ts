// The sounds of the telephone, made here: no file to load, and nothing to license.

let context: AudioContext | undefined
let stopCurrent: (() => void) | undefined
let resting = 0

function audio(): AudioContext {
  context ??= new AudioContext()
  if (context.state === 'suspended') void context.resume()
  // A context that runs costs power even where it is silent.
  clearTimeout(resting)
  resting = window.setTimeout(() => !stopCurrent && void context!.suspend(), 3000)
  return context
}

/** One note that swells and fades: less sudden than a bell. */
function note(at: number, frequency: number, length: number, volume: number, to: AudioNode): OscillatorNode[] {
  const a = audio()
  const gain = a.createGain()
  gain.gain.setValueAtTime(0, at)
  gain.gain.linearRampToValueAtTime(volume, at + 0.02)
  gain.gain.exponentialRampToValueAtTime(0.001, at + length)
  gain.connect(to)
  return [1, 2].map((harmonic) => {
    const o = a.createOscillator()
    o.type = 'sine'
    o.frequency.value = frequency * harmonic
    const part = a.createGain()
    part.gain.value = harmonic === 1 ? 1 : 0.25
    o.connect(part).connect(gain)
    o.start(at)
    o.stop(at + length)
    return o
  })
}

type Tune = { every: number; play: (at: number, to: AudioNode) => void }

/** A linnet's phrase: rising, twice, then a pause. */
const ring: Tune = {
  every: 3,
  play: (at, to) => {
    for (const start of [0, 0.55]) {
      ;[784, 988, 1175, 1568].forEach((f, i) => note(at + start + i * 0.11, f, 0.35, 0.22, to))
    }
  },
}

const ringback: Tune = {
  every: 4,
  play: (at, to) => {
    note(at, 440, 1.1, 0.08, to)
    note(at, 554, 1.1, 0.05, to)
  },
}

/** Somebody knocks while the user talks: two notes, softly and seldom. */
const knock: Tune = {
  every: 5,
  play: (at, to) => {
    note(at, 784, 0.25, 0.07, to)
    note(at + 0.22, 988, 0.3, 0.07, to)
  },
}

const tunes = { ring, ringback, knock }

function repeat(tune: Tune): () => void {
  const a = audio()
  const out = a.createGain()
  out.connect(a.destination)
  let timer = 0
  const round = () => {
    tune.play(a.currentTime + 0.03, out)
    timer = window.setTimeout(round, tune.every * 1000)
  }
  round()
  return () => {
    audio()
    clearTimeout(timer)
    out.gain.setTargetAtTime(0, a.currentTime, 0.03)
    setTimeout(() => out.disconnect(), 300)
  }
}

/** What is to sound from now on; null is silence. */
export function sound(which: keyof typeof tunes | null): void {
  stopCurrent?.()
  stopCurrent = which === null ? undefined : repeat(tunes[which])
}

export function chime(kind: 'begin' | 'end' | 'message' | 'test'): void {
  const a = audio()
  const chimes = { begin: [659, 880], end: [659, 440], message: [988, 1319], test: [523, 659, 784, 1047] }
  chimes[kind].forEach((f, i) => note(a.currentTime + 0.02 + i * 0.13, f, kind === 'test' ? 0.5 : 0.25, 0.14, a.destination))
}

export function tone(): void {
  const a = audio()
  note(a.currentTime + 0.01, 700, 0.12, 0.08, a.destination)
}

/** Lets the first click or key make sounds possible, which browsers demand. */
export function wakeOnGesture(): void {
  const wake = () => {
    void audio()
    removeEventListener('pointerdown', wake)
    removeEventListener('keydown', wake)
  }
  addEventListener('pointerdown', wake)
  addEventListener('keydown', wake)
}
