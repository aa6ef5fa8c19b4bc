// A video call between two nodes' pages in Debian's Chromium, with cameras that
// show a moving picture: pictures are decoded on both sides, the voice is heard, a
// screen is shown, and a camera is refused. Screenshots go to web/shots.
//
//   node test/video.mjs [path of linnet]
//
// LINNET_LONG=1 takes the time to the picture twenty times, and has a limit for it.

import path from 'node:path'
import { browser, button, closeAll, looks, shot, signUp } from './browser.mjs'
import { check, finish, home, start, step, until } from './linnet.mjs'

const shares = ['--use-fake-ui-for-media-stream', '--auto-select-tab-capture-source-by-title=Linnet']
const calls = process.env.LINNET_LONG ? 20 : 5 // of which the time to the picture is taken
const limit = 1000 // ms, for the median of twenty

/** Somebody's page. */
async function person(name, link, flags, options) {
  const page = await (await browser(flags, options)).newPage()
  page.on('pageerror', (e) => console.error(`${name}'s page: ${e.stack}`))
  await page.goto(link)
  await signUp(page, name, 'two birds, one telephone')
  return page
}

/** What the newest connection of a page decoded and encoded, and heard. */
function figures(page) {
  return page.evaluate(async () => {
    const f = { decoded: 0, encoded: 0, heard: 0, width: 0, target: 0, limit: 0 }
    const pc = window.connections.at(-1)
    if (!pc || pc.connectionState !== 'connected') return f
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'inbound-rtp' && s.kind === 'video') {
        f.decoded = s.framesDecoded ?? 0
        f.width = s.frameWidth ?? 0
      }
      if (s.type === 'inbound-rtp' && s.kind === 'audio') f.heard = s.totalAudioEnergy ?? 0
      if (s.type === 'outbound-rtp' && s.kind === 'video') {
        f.encoded = s.framesEncoded ?? 0
        f.target = s.targetBitrate ?? 0
      }
      if (s.type === 'candidate-pair' && s.nominated) f.limit = s.availableOutgoingBitrate ?? 0
    }
    return f
  })
}

async function decodes(page, what, more = 10) {
  const before = (await figures(page)).decoded
  await until(what, async () => (await figures(page)).decoded >= before + more)
}

/** Milliseconds from now until a picture of the other side is on the page. */
const picture = (page) => page.evaluate(() => new Promise((done) => {
  const began = performance.now()
  const look = () => {
    const v = document.querySelector('video.theirs')
    if (v?.videoWidth && v.currentTime > 0) done(performance.now() - began)
    else requestAnimationFrame(look)
  }
  look()
}))

async function main() {
  const net = await start(['network', 'create', 'birds', '--home', path.join(home, 'net'), '--address', '127.0.0.1', '--port', String(10000 + Math.floor(Math.random() * 15000)), '--supernodes', '2'], /(linnet:\S+)/, /Others reach/)
  const up = async (name) => (await start(['up', '--home', path.join(home, name), '--listen', '127.0.0.1:0', '--no-browser', '--join', net.matches[0]], /(http:\S+)/)).matches[0]
  const [a, b] = await Promise.all([up('alice'), up('bob')])
  // Bob's browser asks whether pages may use microphone and camera, and his answer can change.
  const [alice, bob] = await Promise.all([person('alice', a, shares), person('bob', b, [], { permissions: ['microphone', 'camera'] })])
  step('alice and bob have accounts')

  await alice.getByLabel('Find a name or a message').fill('bob')
  await alice.getByLabel('Find a name or a message').press('Enter')
  await button(alice, 'Call bob with video').click()
  await bob.getByText('alice calls with video').waitFor()
  await looks(bob, 'video-rings')
  const clicked = picture(bob)
  await button(bob, 'With video').click()
  const took = await clicked
  await Promise.all([decodes(alice, 'bob on alice’s page'), decodes(bob, 'alice on bob’s page')])
  await until('both hear', async () => (await figures(alice)).heard > 0 && (await figures(bob)).heard > 0)
  step(`both see and hear each other; bob saw alice ${took.toFixed(0)} ms after he answered`)
  await new Promise((done) => setTimeout(done, 5000))
  step(`alice: ${JSON.stringify(await figures(alice))}`)
  step(`bob: ${JSON.stringify(await figures(bob))}`)
  await looks(alice, 'video-call', ['', '-dark', '-phone', '-phone-dark'])

  // Off and on, and a screen instead.
  await button(bob, 'Camera off').click()
  await alice.locator('video.theirs').waitFor({ state: 'detached' })
  await shot(alice, 'video-one-way')
  await button(bob, 'Camera').click()
  await alice.locator('video.theirs').waitFor()
  await decodes(alice, 'bob again')
  step('bob’s camera was off, and on again')
  await button(alice, 'Share screen').click()
  await bob.getByLabel('Screen of alice').waitFor()
  await decodes(bob, 'alice’s screen')
  check((await figures(bob)).width > 640, 'what is shown is no screen')
  await looks(bob, 'video-screen', ['', '-phone-dark'])
  await shot(alice, 'video-shares')
  await button(alice, 'Stop sharing').click()
  await bob.getByLabel('Screen of alice').waitFor({ state: 'detached' })
  await button(alice, 'Camera').click()
  await bob.getByLabel('Video of alice').waitFor()
  await decodes(bob, 'alice after her screen')
  step('alice showed her screen')

  // A page that is loaded again films on.
  await bob.reload()
  await until('bob sees and is seen after a reload', async () => (await figures(bob)).decoded > 10 && (await figures(bob)).encoded > 10)
  await decodes(alice, 'bob after a reload')
  step('bob’s page was loaded again, and the call went on')
  await button(alice, 'Hang up').click()
  await bob.getByText('Completed').or(button(bob, 'Call alice')).first().waitFor()

  // Answered with the voice alone; then a camera that the browser refuses.
  await button(alice, 'Call bob with video').click()
  await button(bob, 'Voice only').click()
  await decodes(bob, 'alice, whom bob answers with his voice')
  check((await figures(bob)).encoded === 0, 'bob films without having been asked')
  await bob.context().clearPermissions()
  await bob.context().grantPermissions(['microphone'])
  await button(bob, 'Camera').click()
  await bob.getByText('does not let this page use the camera').waitFor()
  await shot(bob, 'video-refused')
  await decodes(bob, 'alice, still')
  step('bob answered with his voice, and was told that his camera is refused')
  await button(bob, 'Hang up').click()

  // How long it takes, several times, turn about: of one user a node takes twenty calls in some minutes.
  await bob.context().grantPermissions(['microphone', 'camera'])
  const times = []
  for (let n = 0; n < calls; n++) {
    const [from, to] = n % 2 ? [bob, alice] : [alice, bob]
    await from.getByRole('button', { name: /^Call .* with video$/ }).click()
    await button(to, 'With video').waitFor()
    const seen = picture(to)
    await button(to, 'With video').click()
    times.push(await seen)
    await button(from, 'Hang up').click()
    await to.getByRole('button', { name: /^Call .* with video$/ }).waitFor()
  }
  times.sort((x, y) => x - y)
  const median = times[times.length >> 1]
  step(`from the answer to the picture: ${times.map((t) => t.toFixed(0)).join(', ')} ms, median ${median.toFixed(0)} ms, ${(median / limit).toFixed(2)} of the limit`)
  check(!process.env.LINNET_LONG || median <= limit, 'the picture takes too long')
}

await finish(main, (failed) => closeAll(failed, 'video'))
