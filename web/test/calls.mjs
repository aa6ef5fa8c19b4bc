// Several calls at once, and what waits for somebody who was away: a call that rings
// beside another one, handing over, missed calls and voice mail. Screenshots go to
// web/shots.
//
//   node test/calls.mjs [path of linnet]

import path from 'node:path'
import { browser, button, closeAll, looks, shot } from './browser.mjs'
import { befriend, check, finish, here, home, on, register, start, step, until } from './linnet.mjs'

const speech = path.join(here, '../../media/sample/speech.ogg')

/** Energy of the sound that a page has heard. */
function heard(page) {
  return page.evaluate(async () => {
    for (const s of (await window.connections.at(-1).getStats()).values()) if (s.type === 'inbound-rtp' && s.kind === 'audio') return s.totalAudioEnergy
    return 0
  })
}

async function main() {
  const net = await start(['network', 'create', 'birds', '--home', path.join(home, 'net'), '--address', '127.0.0.1', '--port', String(10000 + Math.floor(Math.random() * 15000)), '--supernodes', '2'], /(linnet:\S+)/, /Others reach/)
  const bobAt = `127.0.0.1:${25000 + Math.floor(Math.random() * 7000)}` // where his page finds him again
  const up = (name, ...more) => start(['up', '--home', path.join(home, name), '--listen', '127.0.0.1:0', '--no-browser', '--join', net.matches[0], ...more], /(http:\S+)/)
  let [a, b] = await Promise.all([up('alice'), up('bob', '--web', bobAt), up('carol')])
  await Promise.all(['alice', 'bob', 'carol'].map(register))
  for (const [one, other] of [['alice', 'bob'], ['alice', 'carol'], ['carol', 'bob']]) await befriend(one, other)
  const open = async (link) => {
    const page = await (await browser(['--use-fake-ui-for-media-stream'])).newPage()
    page.on('pageerror', (e) => console.error(e.stack))
    await page.goto(link)
    await page.getByText('Online', { exact: true }).first().waitFor()
    return page
  }
  const [alice, bob] = await Promise.all([open(a.matches[0]), open(b.matches[0])])
  step('alice, bob and carol know one another')

  // Carol talks with bob; alice calls.
  on('carol', ['call', 'bob', '--play', speech, '--stay']).catch(() => {}) // ends when it is hung up
  await button(bob, 'Answer').click()
  await bob.getByRole('timer').waitFor()
  await alice.evaluate(() => (location.hash = '#/people/bob'))
  await button(alice, 'Call bob').click()
  await bob.getByText('alice calls').first().waitFor()
  await alice.getByText('Is in another call').waitFor()
  await looks(bob, 'waiting', ['', '-phone-dark'])
  await shot(alice, 'waiting-caller')
  await button(bob, 'Answer and hold: alice instead of the call that you are in').click()
  await button(bob, 'Swap: hold this call and go on with carol').waitFor()
  await looks(bob, 'held', ['-phone-dark'])
  await button(bob, 'Swap: hold this call and go on with carol').click()
  await alice.getByText('They put you on hold').waitFor()
  await button(bob, 'Swap: hold this call and go on with alice').click()
  await alice.getByText('They put you on hold').waitFor({ state: 'detached' })
  const before = await heard(alice)
  await until('alice hears bob again', async () => (await heard(alice)) > before + 0.001)
  step('bob answered a second call, and swapped')

  // Bob hands alice over to carol.
  await button(bob, 'Hand over').click()
  await looks(bob, 'hand-over', ['-phone'])
  await bob.getByText('carol, whom you hold').click()
  await bob.getByText('alice is asked whether').waitFor()
  await alice.getByText('bob wants to hand you over to carol').waitFor()
  await looks(alice, 'handed-over', ['-dark'])
  await button(alice, 'Call carol').click()
  await alice.getByRole('region', { name: 'In a call with carol' }).getByRole('timer').waitFor()
  await alice.getByText('put through by bob').waitFor()
  await until('bob is out of both calls', () => bob.evaluate(() => !document.querySelector('.panel, .bar')))
  await shot(alice, 'put-through')
  await button(alice, 'Hang up').click()
  step('bob handed alice over to carol, and she went')

  // The same to carol at her telephone, with whom bob does not talk.
  await alice.evaluate(() => (location.hash = '#/people/bob'))
  await button(alice, 'Call bob').click()
  await button(bob, 'Answer').click()
  await bob.getByRole('timer').waitFor()
  await button(bob, 'Hand over').click()
  await bob.locator('.more').getByRole('button', { name: /^carol/ }).click()
  await button(alice, 'Stay with bob').click()
  await bob.getByText('alice would rather not talk with carol').waitFor()
  await bob.getByRole('timer').waitFor() // the call goes on
  await button(bob, 'Hand over').click()
  await bob.locator('.more').getByRole('button', { name: /^carol/ }).click()
  await button(alice, 'Call carol').click()
  await until('carol’s telephone rings', async () => (await on('carol', ['status'])).includes('alice'))
  await shot(bob, 'handing-over')
  on('carol', ['answer', '--play', speech, '--stay']).catch(() => {}) // ends when it is hung up
  await alice.getByRole('region', { name: 'In a call with carol' }).getByRole('timer').waitFor()
  await until('bob is out of the call', () => bob.evaluate(() => !document.querySelector('.panel, .bar')))
  await until('alice hears carol', async () => (await heard(alice)) > 0.001)
  await button(alice, 'Hang up').click()
  step('bob handed alice over to carol, who had not been asked, and alice went the second time')

  // Bob is away; carol calls, and alice leaves a message.
  const ended = new Promise((done) => b.child.on('exit', done))
  b.child.kill('SIGTERM')
  await ended
  await on('carol', ['call', 'bob']).catch(() => {}) // nobody answers
  await alice.evaluate(() => (location.hash = '#/people/bob'))
  await button(alice, 'Call bob').click()
  await button(alice, 'Leave a voice message').waitFor()
  await looks(alice, 'unanswered', [''])
  await button(alice, 'Leave a voice message').click()
  await alice.getByText(/0:0[2-9] of 2:00/).waitFor()
  await looks(alice, 'recording', ['-phone-dark'])
  await button(alice, 'Done').click()
  await button(alice, 'Send').first().waitFor()
  await looks(alice, 'recorded', ['-dark'])
  await alice.locator('.choice').getByRole('button', { name: 'Send' }).click()
  await alice.getByText('Stored; waits for them').waitFor()
  step('alice left a voice message')
  b = await up('bob', '--web', bobAt)
  await bob.getByRole('link', { name: /^carol.*1 missed call/ }).waitFor()
  await bob.getByRole('link', { name: /^alice.*1 new voice message/ }).waitFor()
  await looks(bob, 'was-away', [''])
  await bob.getByRole('link', { name: /^carol/ }).click()
  await bob.getByText('Missed call').first().waitFor()
  await bob.getByRole('link', { name: /^carol.*1 missed call/ }).waitFor({ state: 'detached' })
  await bob.getByRole('link', { name: /^alice/ }).click()
  await bob.getByText('Voice message of alice').waitFor()
  await looks(bob, 'voicemail', ['-dark', '-phone'])
  await button(bob, 'Play').click()
  await until('it plays', () => bob.getByLabel('Position').evaluate((e) => e.valueAsNumber > 0.3))
  await bob.getByRole('link', { name: /^alice.*1 new voice message/ }).waitFor({ state: 'detached' })
  const download = bob.waitForEvent('download')
  await button(bob, 'Save a copy').click()
  check((await download).suggestedFilename().endsWith('.ogg'), 'the copy has another name')
  await alice.getByText('· Heard').waitFor()
  await shot(alice, 'voicemail-left')
  await button(bob, 'Delete').click()
  await button(bob, 'Delete it here').click()
  await bob.getByText('Voice message of alice').waitFor({ state: 'detached' })
  step('bob heard what alice left, and she knows')
}

await finish(main, (failed) => closeAll(failed, 'calls'))
