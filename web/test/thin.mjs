// A video call by a link of 200 kbit/s that loses a tenth of everything, between
// hosts behind NATs, with a browser on each: the picture keeps moving on both sides, and
// the voice is whole. The path falls so low during the call, and is so from the
// beginning of another one.
//
//   LINNET_NATLAB=1 node test/thin.mjs [path of linnet]
//
// LINNET_LONG=1 watches for a minute instead of seconds.

import path from 'node:path'
import { browser, button, closeAll, shot } from './browser.mjs'
import { befriend, check, finish, home, on, register, startBy, step, until } from './linnet.mjs'
import { chromiumOn, lab, linnetOn } from './natlab.mjs'
import { note, sum } from './seen.mjs'

const long = process.env.LINNET_LONG
const seconds = long ? 60 : 12
const span = 4000 // in each of which the picture moves
const most = long ? 0.03 : 0.2 // of the voice that the browser made up: the fall itself is a larger part of a short time, and a busy machine adds to it
const good = 'delay=10'
const thin = `${good},loss=10,down=200,up=200`

async function person(host, link) {
  const context = await browser(['--use-fake-ui-for-media-stream'], {}, chromiumOn(host))
  await context.addInitScript(note)
  const page = await context.newPage()
  page.on('pageerror', (e) => console.error(`${host}'s page: ${e.stack}`))
  await page.goto(link)
  await page.getByText('Online', { exact: true }).first().waitFor()
  return page
}

const noted = (page) => page.evaluate(() => window.noted)
const decoded = async (page) => (await noted(page)).at(-1)?.decoded ?? 0

/** Watches both pages for a while. */
async function watch(what, pages) {
  const from = await Promise.all(Object.values(pages).map(async (p) => (await noted(p)).length))
  await new Promise((done) => setTimeout(done, seconds * 1000))
  let i = 0
  for (const [name, page] of Object.entries(pages)) {
    const s = sum((await noted(page)).slice(from[i++]), span)
    const { windows, ...rest } = s
    step(`${what}, ${name}: ${JSON.stringify(rest)}, by window ${windows.map((w) => `${w.pictures} (${w.concealed})`).join(' ')}`)
    check(windows.every((w) => w.pictures > 0), `${what}: ${name}'s picture stands still for ${s.still} ms`)
    check(windows.every((w) => w.energy > 0), `${what}: ${name} hears nothing for ${span} ms`)
    check(s.concealed <= most, `${what}: of what ${name} hears ${(100 * s.concealed).toFixed(1)} % is made up`)
  }
}

async function call(alice, bob) {
  for (const page of [alice, bob]) await page.evaluate(() => (window.noted = []))
  await button(alice, 'Call bob with video').click()
  await button(bob, 'With video').click()
  const began = Date.now()
  await until('both see each other', async () => (await decoded(alice)) > 5 && (await decoded(bob)) > 5)
  return Date.now() - began
}

async function main() {
  lab('up', 's1=public', `alice=port-restricted,${good}`, 'bob=port-restricted')
  const net = await startBy(linnetOn('s1'), ['network', 'create', 'birds', '--home', path.join(home, 'net'), '--address', lab('addr', 's1'), '--supernodes', '2'], /(linnet:\S+)/, /Others reach/)
  const up = async (name) => (await startBy(linnetOn(name), ['up', '--home', path.join(home, name), '--no-browser', '--join', net.matches[0]], /(http:\S+)/)).matches[0]
  const links = await Promise.all([up('alice'), up('bob')])
  await Promise.all(['alice', 'bob'].map(register))
  await befriend('alice', 'bob')
  const [alice, bob] = await Promise.all([person('alice', links[0]), person('bob', links[1])])
  step('alice and bob are at pages of their own, behind NATs')

  await alice.evaluate(() => (location.hash = '#/people/bob'))
  await call(alice, bob)
  await until('the path is direct', async () => /direct/.test(await alice.locator('.path').innerText()))
  await new Promise((done) => setTimeout(done, 5000)) // the picture becomes a good one
  step(`on a good link: ${JSON.stringify((await noted(bob)).at(-1))}`)
  lab('link', 'alice', thin)
  await watch('the link became thin', { alice, bob })
  await shot(alice, 'thin')
  await button(alice, 'Hang up').click()
  await button(bob, 'Call alice with video').waitFor()
  step(`what alice keeps of it: ${(await on('alice', ['history'])).split('\n').slice(0, 3).join(' | ')}`)

  const took = await call(alice, bob)
  step(`on the thin link they see each other ${took} ms after the answer`)
  await watch('the link is thin', { alice, bob })
  await button(alice, 'Hang up').click()
}

if (process.env.LINNET_NATLAB) {
  await finish(main, async (failed) => {
    await closeAll(failed, 'thin')
    lab('down')
  })
} else console.log('         LINNET_NATLAB is not set: no video was seen by shaped links')
