// A video call between two nodes' pages in Debian's Chromium, with cameras that
// show a moving picture: pictures are decoded on both sides, the voice is heard, and
// what the page shows of it. Screenshots go to web/shots.
//
//   node test/video.mjs [path of linnet]

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { check, finish, here, home, patience, start, step, until } from './linnet.mjs'

const shots = path.join(here, '../shots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--auto-select-desktop-capture-source=Entire screen', '--auto-accept-this-tab-capture']
const browsers = []

async function browser(name, link, { camera = true } = {}) {
  const b = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: flags })
  browsers.push(b)
  const context = await b.newContext({ viewport: { width: 1180, height: 800 } })
  context.setDefaultTimeout(patience)
  await context.addInitScript((camera) => {
    const Original = window.RTCPeerConnection
    window.connections = []
    window.RTCPeerConnection = class extends Original {
      constructor(...args) {
        super(...args)
        window.connections.push(this)
      }
    }
    window.camera = camera
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
    navigator.mediaDevices.getUserMedia = (what) => (what.video && !window.camera ? Promise.reject(new DOMException('no', 'NotAllowedError')) : open(what))
  }, camera)
  const page = await context.newPage()
  page.on('pageerror', (e) => console.error(`${name}'s page: ${e.stack}`))
  await page.goto(link)
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill('two birds, one telephone')
  await page.locator('form').getByRole('button', { name: 'Create an account' }).click()
  await page.getByText('Online', { exact: true }).first().waitFor()
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

const button = (page, name) => page.getByRole('button', { name, exact: true })

async function looks(page, name) {
  for (const [form, size, colorScheme] of [['', [1180, 800], 'light'], ['-dark', [1180, 800], 'dark'], ['-phone', [375, 740], 'light']]) {
    await page.setViewportSize({ width: size[0], height: size[1] })
    await page.emulateMedia({ colorScheme })
    await page.evaluate(axe + ';0')
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }))
    check(violations.length === 0, `${name}${form} is not accessible:\n${violations.map((v) => `  ${v.id}: ${v.help} ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`).join('\n')}`)
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than a telephone`)
    await page.screenshot({ path: path.join(shots, `${name}${form}.png`) })
  }
  await page.setViewportSize({ width: 1180, height: 800 })
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
  mkdirSync(shots, { recursive: true })
  const net = await start(['network', 'create', 'birds', '--home', path.join(home, 'net'), '--address', '127.0.0.1', '--port', String(10000 + Math.floor(Math.random() * 15000)), '--supernodes', '2'], /(linnet:\S+)/, /Others reach/)
  const up = async (name) => (await start(['up', '--home', path.join(home, name), '--listen', '127.0.0.1:0', '--no-browser', '--join', net.matches[0]], /(http:\S+)/)).matches[0]
  const [a, b] = await Promise.all([up('alice'), up('bob')])
  const [alice, bob] = await Promise.all([browser('alice', a), browser('bob', b)])
  step('alice and bob have accounts')

  await alice.getByLabel('Find or call a name').fill('bob')
  await alice.getByLabel('Find or call a name').press('Enter')
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
  await looks(alice, 'video-call')

  // Off and on, and a screen instead.
  await button(bob, 'Camera off').click()
  await alice.locator('video.theirs').waitFor({ state: 'detached' })
  await alice.screenshot({ path: path.join(shots, 'video-one-way.png') })
  await button(bob, 'Camera').click()
  await alice.locator('video.theirs').waitFor()
  await decodes(alice, 'bob again')
  step('bob’s camera was off, and on again')

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
  await bob.evaluate(() => (window.camera = false))
  await button(bob, 'Camera').click()
  await bob.getByText('does not let this page use the camera').waitFor()
  await bob.screenshot({ path: path.join(shots, 'video-refused.png') })
  await decodes(bob, 'alice, still')
  step('bob answered with his voice, and was told that his camera is refused')
  await button(bob, 'Hang up').click()

  // How long it takes, several times.
  await bob.evaluate(() => (window.camera = true))
  const times = []
  for (let n = Number(process.env.ROUNDS ?? 5); n > 0; n--) {
    await button(alice, 'Call bob with video').waitFor()
    await button(alice, 'Call bob with video').click()
    await button(bob, 'With video').waitFor()
    const seen = picture(bob)
    await button(bob, 'With video').click()
    times.push(await seen)
    await button(alice, 'Hang up').click()
    await button(bob, 'Call alice with video').waitFor()
  }
  times.sort((x, y) => x - y)
  step(`from the answer to the picture: ${times.map((t) => t.toFixed(0)).join(', ')} ms, median ${times[times.length >> 1].toFixed(0)} ms`)
}

await finish(main, async (failed) => {
  for (const [i, b] of browsers.entries()) {
    if (failed) for (const c of b.contexts()) for (const p of c.pages()) await p.screenshot({ path: path.join(shots, `video-failed-${i}.png`) }).catch(() => {})
    await b.close().catch(() => {})
  }
})
