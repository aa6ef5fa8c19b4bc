// Drives the page as people do, in Debian's Chromium with a microphone that beeps:
// a network of its own, two people, calls. Screenshots go to web/shots.
//
//   node test/page.mjs [path of linnet]
//
// It ends with an error at the first thing that is not so.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import encodeQR from 'qr'
import { accessible, browser, button, closeAll, looks, shot, signUp } from './browser.mjs'
import { check, finish, here, home, linnet, on, start, step, until } from './linnet.mjs'

const run = promisify(execFile)

/** Somebody's browser. */
async function person({ microphone = true } = {}) {
  const context = await browser(['--autoplay-policy=user-gesture-required', microphone ? '--use-fake-ui-for-media-stream' : '--deny-permission-prompts'])
  // The test looks at what the page really hears: echo123 is silent for ten seconds, and then says what it heard.
  await context.addInitScript(() => {
    window.heardAgain = false
    let last = 0
    let sounded = 0
    setInterval(async () => {
      const pc = window.connections.at(-1)
      if (!pc || pc.connectionState !== 'connected') return (last = sounded = 0)
      for (const s of (await pc.getStats()).values()) {
        if (s.type !== 'inbound-rtp' || !(s.totalAudioEnergy > last + 0.0001)) continue
        if (sounded && performance.now() - sounded > 5000) window.heardAgain = true
        last = s.totalAudioEnergy
        sounded = performance.now()
      }
    }, 250)
  })
  return context
}

function watch(page, who) {
  page.on('pageerror', (e) => fail(`${who}'s page: ${e.stack}`))
  page.on('console', (m) => {
    if (m.type() === 'error' && !/status of (401|404|409|500)|ERR_(CONNECTION_(REFUSED|RESET)|EMPTY_RESPONSE)/.test(m.text())) fail(`${who}'s page says: ${m.text()}`)
  })
  return page
}

let failure
function fail(what) {
  failure ??= new Error(what)
}

async function open(context, link, who) {
  const page = watch(await context.newPage(), who)
  await page.goto(link)
  return page
}

/** Energy of the sound that the newest connection of a page sent and received. */
function energy(page) {
  return page.evaluate(async () => {
    const sum = { said: 0, heard: 0, level: 0 }
    const pc = window.connections.at(-1)
    if (!pc || pc.connectionState !== 'connected') return sum
    for (const s of (await pc.getStats()).values()) {
      if (s.type === 'media-source') sum.said += s.totalAudioEnergy ?? 0
      if (s.type === 'inbound-rtp') {
        sum.heard += s.totalAudioEnergy ?? 0
        sum.level = Math.max(sum.level, s.audioLevel ?? 0)
      }
    }
    return sum
  })
}

/** What a browser loads to show the page, compressed. */
function weight() {
  const dist = path.join(here, '../dist')
  const parts = ['index.html', ...['page.js', 'index.css'].map((f) => `assets/${f}`)]
  const sum = parts.reduce((n, f) => n + gzipSync(readFileSync(path.join(dist, f)), { level: 9 }).length, 0)
  check(sum <= 150_000, `the page weighs ${sum} bytes, compressed`)
  step(`the page weighs ${Math.round(sum / 1000)} kB, compressed`)
}

/** The share of a processor that a page takes while nothing happens: the least of some spans, on a machine that has more to do. */
async function idle(page) {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  const now = async () => {
    const { metrics } = await cdp.send('Performance.getMetrics')
    const of = (name) => metrics.find((m) => m.name === name).value
    return { busy: of('TaskDuration'), at: of('Timestamp') }
  }
  let least = 1
  for (let i = 0; i < 4 && least > 0.01; i++) {
    const begin = await now()
    await new Promise((done) => setTimeout(done, 3000))
    const end = await now()
    least = Math.min(least, (end.busy - begin.busy) / (end.at - begin.at))
  }
  check(least <= 0.01, `the idle page takes ${(least * 100).toFixed(1)} % of a processor`)
  step(`the idle page takes ${(least * 100).toFixed(2)} % of a processor`)
}

/** The line of a conversation that has these words. */
const line = (page, words) => page.locator('li.line').filter({ hasText: words })

async function write(page, to, words) {
  await page.getByLabel(`Write to ${to}`).fill(words)
  await page.getByLabel(`Write to ${to}`).press('Enter')
  await line(page, words).waitFor()
}

/** Opens the menu of a message. */
async function menu(page, words) {
  await line(page, words).hover()
  await line(page, words).getByRole('button', { name: 'What to do with this message' }).click()
}

const is = (user, presence) => new RegExp(`^${user}\\W+${presence}`) // the name of a contact's link
// Whoever did not answer a device that looked for contacts is asked again half a minute later.
const lookingAgain = { timeout: 200_000 }
const clock = (page) => page.getByRole('timer').filter({ hasText: /^\d+:\d\d$/ })

async function main() {
  weight()
  const net = await start(['network', 'create', 'birds', '--home', path.join(home, 'net'), '--address', '127.0.0.1', '--port', String(10000 + Math.floor(Math.random() * 15000)), '--supernodes', '2', '--promotion', 'open'], /(linnet:\S+)/, /Others reach/)
  const invite = net.matches[0]
  step('a network runs')

  const up = (name, ...more) => start(['up', '--home', path.join(home, name), '--listen', '127.0.0.1:0', '--no-browser', ...more], /(http:\S+)/)
  const bobAt = ['--web', `127.0.0.1:${25000 + Math.floor(Math.random() * 7000)}`] // where his page finds him again
  let bobNode
  const [aliceLink, bobLink] = (await Promise.all([up('alice'), up('bob', '--join', invite, ...bobAt)])).map((p, i) => {
    if (i === 1) bobNode = p
    return p.matches[0]
  })
  const [aliceTab, bobTab] = await Promise.all([person(), person()])

  // A browser without a key gets nothing.
  const locked = await open(await person(), aliceLink.replace(/#.*/, ''), 'nobody')
  await locked.getByText('This browser has no key yet').waitFor()
  await accessible(locked, 'the page without a key')
  await shot(locked, 'locked')
  step('a browser without a key is told what to do')

  const alice = await open(aliceTab, aliceLink, 'alice')
  await alice.getByText('Welcome to Linnet').waitFor()
  check(!alice.url().includes('token'), 'the token stays in the address')
  await accessible(alice, 'the first page')
  await shot(alice, 'welcome')
  await alice.getByLabel('Invite link').fill('linnet:nonsense')
  await button(alice, 'Join').click()
  await alice.getByRole('alert').filter({ hasText: /\w/ }).first().waitFor()
  await button(alice, 'Scan a QR code').click()
  await alice.getByText('Hold the code').waitFor()
  await looks(alice, 'scan')
  await alice.getByLabel('Choose a picture').setInputFiles({ name: 'code.gif', mimeType: 'image/gif', buffer: Buffer.from(encodeQR(invite, 'gif', { scale: 4 })) })
  await alice.getByText('Your name on birds').waitFor()
  await accessible(alice, 'the page for an account')
  await looks(alice, 'register')
  await signUp(alice, 'alice', 'two birds, one telephone')
  step('alice joined and has an account')

  const bob = await open(bobTab, bobLink, 'bob')
  await bob.getByText('Your name on birds').waitFor()
  await signUp(bob, 'bob', 'another bird, another song')

  // Out, and in again with a wrong password first.
  await bob.getByRole('link', { name: 'Settings' }).click()
  await button(bob, 'Sign out').click()
  await bob.getByRole('alert').getByRole('button', { name: 'Sign out' }).click()
  await button(bob, 'Sign in').first().click()
  await bob.getByLabel('Name', { exact: true }).fill('bob')
  await bob.getByLabel('Password', { exact: true }).fill('a wrong one')
  await bob.locator('form').getByRole('button', { name: 'Sign in' }).click()
  await bob.getByText('do not belong together').waitFor()
  await shot(bob, 'wrong-password')
  await bob.getByLabel('Password', { exact: true }).fill('another bird, another song')
  await bob.locator('form').getByRole('button', { name: 'Sign in' }).click()
  await bob.getByText('Online', { exact: true }).first().waitFor()
  step('bob was told of a wrong password, and is in')

  // Alice asks bob to be in her contacts.
  await alice.getByLabel('Find a name or a message').fill('bob')
  await alice.getByLabel('Find a name or a message').press('Enter')
  await button(alice, 'Add to contacts').click()
  await alice.getByLabel('A few words to bob').fill('We met at the pond.\nCall me when you hear the geese!')
  await accessible(alice, 'a request being written')
  await shot(alice, 'request-write')
  await button(alice, 'Send request').click()
  await alice.getByRole('link', { name: 'bob' }).getByText('Has not answered yet').waitFor()
  await shot(alice, 'request-waits')
  await bob.evaluate(() => (location.hash = '#/people'))
  await bob.getByText('1 contact request').first().waitFor()
  await bob.getByText('We met at the pond.').waitFor()
  check((await bob.title()).startsWith('(1)'), 'the title does not tell of a request')
  await looks(bob, 'request')
  await bob.getByRole('link', { name: 'alice' }).click()
  await looks(bob, 'request-person')
  await button(bob, 'Accept alice').click()
  await Promise.all([alice.getByRole('link', { name: is('bob', 'Online') }).waitFor(lookingAgain), bob.getByRole('link', { name: is('alice', 'Online') }).waitFor(lookingAgain)])
  step('bob accepted, and both see each other online')

  // They write to each other.
  await alice.evaluate(() => (location.hash = '#/chats/bob'))
  await bob.evaluate(() => (location.hash = '#/chats'))
  await write(alice, 'bob', 'The geese are back')
  await bob.getByRole('link', { name: /^alice.*1 new message/ }).waitFor()
  check((await bob.title()).startsWith('(1)'), 'the title does not tell of a message')
  await looks(bob, 'chats')
  await bob.getByRole('link', { name: /^alice/ }).click()
  await bob.getByText('New messages').waitFor()
  await line(alice, 'The geese are back').getByText('Read', { exact: true }).waitFor()
  await bob.getByLabel('Write to alice').pressSequentially('Both')
  await alice.getByText('bob is writing').waitFor()
  await menu(bob, 'The geese are back')
  await looks(bob, 'message-menu')
  check(await bob.evaluate(() => {
    const at = document.querySelector('.menu').getBoundingClientRect()
    return at.left >= 0 && at.top >= 0 && at.right <= innerWidth && at.bottom <= innerHeight
  }), 'the menu is out of the window after that was another size')
  await bob.getByRole('button', { name: 'React with 🎉' }).click()
  await menu(bob, 'The geese are back')
  await bob.getByRole('button', { name: 'Reply' }).click()
  await write(bob, 'alice', 'Both of them? https://example.org/geese')
  await write(bob, 'alice', 'A secret')
  await menu(bob, 'A secret')
  await bob.getByRole('button', { name: 'Delete' }).click()
  await bob.getByRole('button', { name: 'Delete it for both of you' }).click()
  await line(alice, 'This message was deleted').waitFor()
  await alice.getByRole('button', { name: '🎉: bob' }).waitFor()
  await write(alice, 'bob', 'All tree')
  await menu(alice, 'All tree')
  await alice.getByRole('button', { name: 'Edit' }).click()
  await alice.getByLabel('Write to bob').fill('All three')
  await alice.getByLabel('Write to bob').press('Enter')
  await line(bob, 'All three').getByText('edited').waitFor()
  await line(bob, 'Both of them?').getByRole('link').waitFor()
  await alice.getByLabel('Write to bob').fill('A draft')
  await alice.reload()
  check((await alice.getByLabel('Write to bob').inputValue()) === 'A draft', 'the draft is gone')
  await alice.getByLabel('Write to bob').fill('')
  await looks(alice, 'chat')
  step('alice and bob wrote to each other')

  // One of them is away, and a file is on its way.
  const heavy = path.join(home, 'geese at the pond.film')
  writeFileSync(heavy, 'geese')
  truncateSync(heavy, 80 << 20)
  await alice.locator('input[type=file]').setInputFiles(heavy)
  await bob.getByText('geese at the pond.film').first().waitFor()
  await looks(bob, 'file-offer')
  await button(bob, 'Accept').click()
  await until('the file flows', () => bob.evaluate(() => document.querySelector('progress')?.value > 0 || document.body.textContent.includes('Here, every byte of it')))
  bobNode.child.kill('SIGKILL')
  const part = await alice.getByText('Arrived, every byte').count() === 0
  await bob.getByText('Linnet is not running').waitFor()
  await shot(bob, 'gone')
  await write(alice, 'bob', 'Where are you?')
  await line(alice, 'Where are you?').getByText(/Sent|Waits/).first().waitFor()
  await looks(alice, 'away')
  bobNode = await up('bob', ...bobAt)
  await line(bob, 'Where are you?').waitFor()
  await line(alice, 'Where are you?').getByText('Read', { exact: true }).waitFor()
  await bob.getByText('Here, every byte of it').waitFor()
  await alice.getByText('Arrived, every byte of it').waitFor()
  const came = readdirSync(path.join(home, 'bob/downloads')).filter((f) => f.endsWith('.film'))
  check(came.length === 1 && statSync(path.join(home, 'bob/downloads', came[0])).size === 80 << 20, `of the file came ${came}`)
  await looks(bob, 'file')
  step(`bob was killed, came back, and has the message and the file${part ? ', which went on where it was' : ''}`)

  // What was written is found.
  await alice.getByLabel('Find a name or a message').fill('geese back')
  await alice.getByRole('heading', { name: 'Messages' }).waitFor()
  await shot(alice, 'found')
  await alice.locator('.list').getByRole('link', { name: /The geese are back/ }).last().click()
  await alice.locator('li.line.flash').waitFor()
  await bob.getByRole('link', { name: is('alice', 'Online') }).waitFor(lookingAgain)
  step('a message was found')

  // What alice says of herself.
  await bob.evaluate(() => (location.hash = '#/people'))
  await alice.evaluate(() => (location.hash = '#/people'))
  await alice.getByRole('button', { name: 'Change what your contacts see' }).click()
  await alice.getByRole('radio', { name: 'Away' }).check()
  await alice.getByLabel('What is on your mind?').fill('Feeding the ducks')
  await looks(alice, 'presence')
  await alice.getByRole('button', { name: 'Save' }).click()
  await bob.getByRole('link', { name: is('alice', 'Away') }).getByText('Feeding the ducks').waitFor()
  await shot(bob, 'away')
  await alice.getByRole('button', { name: 'Change what your contacts see' }).click()
  await alice.getByRole('radio', { name: 'Online' }).check()
  await alice.keyboard.press('Escape')
  await bob.getByRole('link', { name: is('alice', 'Online') }).waitFor()
  step('bob saw alice away, and back')

  // The white pages.
  await bob.getByRole('link', { name: 'Settings' }).click()
  await bob.getByLabel('Full name').fill('Bob Finch')
  await bob.getByLabel('City').fill('Vienna')
  await bob.getByLabel('About you').fill('Sings in the morning')
  await button(bob, 'Publish').click()
  await bob.getByText('Your card is published.').waitFor()
  await looks(bob, 'card')
  await alice.getByLabel('Find a name or a message').fill('finch vienna')
  await shot(alice, 'search-typed')
  await alice.getByLabel('Find a name or a message').press('Enter')
  await alice.getByText('Sings in the morning').waitFor()
  await looks(alice, 'search')
  await alice.getByLabel('Find a name or a message').fill('nightingale')
  await alice.getByText('Search the white pages for “nightingale”').click()
  await alice.getByText('Nobody was found').waitFor()
  await shot(alice, 'search-none')
  await alice.getByRole('link', { name: is('bob', 'Online') }).click()
  step('a search found bob’s card')

  // A call that nobody takes, for the list.
  await button(alice, 'Call bob').click()
  await button(bob, 'Answer').waitFor()
  check((await bob.title()).includes('alice calls'), 'the title does not tell who calls')
  await accessible(bob, 'an incoming call')
  await shot(bob, 'incoming')
  await alice.getByText('Ringing', { exact: true }).waitFor()
  await shot(alice, 'ringing')
  await button(alice, 'Hang up').click()
  await bob.getByText('Missed call').first().waitFor()
  step('bob missed a call')

  // The call.
  await button(alice, 'Call bob').click()
  await button(bob, 'Answer').waitFor()
  const answered = Date.now()
  await button(bob, 'Answer').click()
  await Promise.all([clock(alice).waitFor(), clock(bob).waitFor()])
  for (const [page, who] of [[alice, 'alice'], [bob, 'bob']]) {
    await until(`${who} speaks and hears`, async () => {
      const e = await energy(page)
      return e.said > 0.001 && e.heard > 0.001
    })
  }
  step(`alice and bob hear each other ${Date.now() - answered} ms after the click`)
  await until('the path is direct', async () => /direct/.test(await alice.locator('.path').innerText()))
  await accessible(alice, 'a call')
  await shot(alice, 'call')
  await button(alice, 'Devices').click()
  await shot(alice, 'call-devices')
  await button(alice, 'Devices').click()

  await button(alice, 'Mute').click()
  await alice.getByText('You are muted').waitFor()
  await until('bob hears nothing of a muted alice', async () => (await energy(bob)).level < 0.001)
  await button(alice, 'Unmute').click()
  await until('bob hears alice again', async () => (await energy(bob)).level > 0.01)
  await button(alice, 'Hold').click()
  await bob.getByText('They put you on hold').waitFor()
  await button(alice, 'Resume').click()
  await until('bob hears alice after the hold', async () => (await energy(bob)).level > 0.01)
  step('mute and hold')

  // The call goes on when the page is loaded again.
  await alice.reload()
  await clock(alice).waitFor()
  const heardBefore = (await energy(bob)).heard
  await until('both hear each other after a reload', async () => (await energy(alice)).heard > 0.001 && (await energy(bob)).heard > heardBefore + 0.001)
  step('the call went on over a reload')

  // A second tab is no phone, until it takes over.
  const second = await open(aliceTab, aliceLink.replace(/#.*/, ''), 'alice (second tab)')
  await second.getByText('which is the phone').waitFor()
  await shot(second, 'second-tab')
  await button(second, 'Use this page instead').click()
  await alice.getByText('which is the phone').waitFor()
  await until('the second tab hears', async () => (await energy(second)).heard > 0.001)
  check((await energy(alice)).heard === 0, 'the first tab still hears')
  await second.close()
  await until('the first tab is the phone again', async () => (await energy(alice)).heard > 0.001)
  step('a second tab took over, and gave back')

  await button(bob, 'Hang up').click()
  await alice.locator('details[open]').waitFor()
  await alice.getByText('There and back').waitFor()
  await accessible(alice, 'a receipt')
  await shot(alice, 'receipt')
  await alice.getByRole('link', { name: 'Calls' }).click()
  await shot(alice, 'calls')
  step('the receipt')

  // echo123.
  await alice.getByRole('link', { name: 'People' }).click()
  await button(alice, 'Call echo123 to hear your own voice').click()
  await until('alice hears the greeting of echo123', async () => (await energy(alice)).heard > 0.001)
  await alice.setViewportSize({ width: 375, height: 740 })
  await alice.emulateMedia({ colorScheme: 'dark' })
  await shot(alice, 'call-phone-dark')
  step('echo123 greets')

  // Bob meanwhile: the other screens, dark and narrow.
  await bob.getByRole('link', { name: 'Network' }).click()
  await bob.getByText('You are connected').waitFor()
  await accessible(bob, 'the network page')
  await shot(bob, 'network')
  await bob.getByRole('link', { name: 'Settings' }).click()
  await accessible(bob, 'the settings')
  await shot(bob, 'settings')

  // He lets his computer serve others, and relay their calls, and thinks better of it.
  const consent = (label) => bob.getByRole('switch', { name: label })
  await consent('Let this computer serve others').check()
  await consent('Let it relay calls of others, too').check()
  await bob.getByText('Relayed today').scrollIntoViewIfNeeded()
  await looks(bob, 'volunteer')
  check((await on('bob', ['volunteer'])).match(/relays\s+no: /), 'bob does not relay for others, but his node says nothing of it')
  await consent('Let this computer serve others').uncheck()
  await consent('Let it relay calls of others, too').waitFor({ state: 'detached' })
  step('bob agreed to help the network, and did not')
  await bob.emulateMedia({ colorScheme: 'dark' })
  for (const [name, hash] of [['network', '#/network'], ['settings', '#/settings'], ['person', '#/people/alice'], ['people', '#/people']]) {
    await bob.evaluate((h) => (location.hash = h), hash)
    await new Promise((done) => setTimeout(done, 300))
    await accessible(bob, `${name} in the dark`)
    await shot(bob, `${name}-dark`)
  }
  await bob.setViewportSize({ width: 375, height: 740 })
  for (const scheme of ['dark', 'light']) {
    await bob.emulateMedia({ colorScheme: scheme })
    for (const [name, hash] of [['network', '#/network'], ['settings', '#/settings'], ['person', '#/people/alice'], ['people', '#/people'], ['calls', '#/calls']]) {
      await bob.evaluate((h) => (location.hash = h), hash)
      await new Promise((done) => setTimeout(done, 200))
      check(await bob.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than a telephone`)
      await shot(bob, `${name}-phone-${scheme}`)
    }
  }
  step('the other screens')

  // A microphone that the browser refuses.
  const { stdout } = await run(linnet, ['--home', path.join(home, 'bob'), 'page', '--no-browser'])
  const deaf = await open(await person({ microphone: false }), stdout.trim(), 'bob (no microphone)')
  await button(deaf, 'Use this page instead').click()
  await deaf.getByRole('link', { name: 'alice' }).first().click()
  await button(deaf, 'Call alice').click()
  await deaf.getByText('does not let this page use the microphone').waitFor()
  await looks(deaf, 'denied')
  await deaf.context().close()
  step('a denied microphone is told')

  // Nothing of alice's any more, and again.
  await bob.setViewportSize({ width: 1280, height: 800 })
  await bob.evaluate(() => (location.hash = '#/people'))
  await bob.getByRole('link', { name: is('alice', 'Online') }).click()
  await button(bob, 'More').click()
  await button(bob, 'Block alice').click()
  await button(bob, 'Block').click()
  await bob.getByText('You blocked alice').waitFor()
  await bob.getByRole('link', { name: 'Settings' }).click()
  await accessible(bob, 'somebody blocked')
  await bob.getByText('Blocked people').scrollIntoViewIfNeeded()
  await shot(bob, 'blocked')
  await button(bob, 'Unblock alice').click()
  await button(bob, 'Unblock alice').waitFor({ state: 'detached' })
  step('bob blocked alice, and ended that')

  await bob.evaluate(() => (location.hash = '#/chats'))
  await idle(bob)
  await until('alice hears herself', () => alice.evaluate(() => window.heardAgain))
  const end = button(alice, 'Hang up')
  if (await end.isVisible()) await end.click({ timeout: 5000 }).catch(() => {}) // echo123 may be at its end
  await alice.locator('details[open]').waitFor()
  await shot(alice, 'receipt-phone-dark')
  step('echo123 played alice’s voice back')

  if (failure) throw failure
  step('done')
}

await finish(main, async (failed) => {
  if (failed && failure) console.error(failure)
  await closeAll(failed, 'page')
})
