// Calls in Debian's Firefox, which treats addresses of the own machine otherwise than
// Chromium: to echo123, and with video to somebody at a Chromium. Playwright cannot
// drive it; WebDriver BiDi can.
//
//   node --experimental-websocket test/firefox.mjs [path of linnet]

import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { browser, button, closeAll } from './browser.mjs'
import { check, finish, home, patience, start, step, until } from './linnet.mjs'
import { note, sum } from './seen.mjs'

const settings = {
  'media.navigator.streams.fake': true, // a microphone that beeps
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'remote.active-protocols': 1,
  'datareporting.policy.dataSubmissionEnabled': false,
  'app.update.enabled': false,
  'network.captive-portal-service.enabled': false,
}

let firefox

/** Starts Firefox, and gives a function that runs an expression in its page. */
async function open(link) {
  const profile = path.join(home, 'firefox')
  mkdirSync(profile)
  writeFileSync(path.join(profile, 'user.js'), Object.entries(settings).map(([name, value]) => `user_pref("${name}", ${value});\n`).join(''))
  firefox = spawn('firefox-esr', ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', profile, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: profile },
  })
  const address = await new Promise((done, fail) => {
    let said = ''
    setTimeout(() => fail(new Error(`Firefox has not started:\n${said}`)), patience).unref()
    firefox.stderr.on('data', (b) => {
      said += b
      const found = said.match(/BiDi listening on (ws:\S+)/)
      if (found) done(found[1])
    })
  })
  const socket = new WebSocket(`${address}/session`)
  await new Promise((done) => (socket.onopen = done))
  const waiting = new Map()
  socket.onmessage = (m) => {
    const reply = JSON.parse(m.data)
    waiting.get(reply.id)?.(reply)
  }
  let id = 0
  const ask = async (method, params = {}) => {
    const n = ++id
    const reply = await new Promise((done) => {
      waiting.set(n, done)
      socket.send(JSON.stringify({ id: n, method, params }))
    })
    if (reply.type !== 'success') throw new Error(`${method}: ${reply.message}`)
    return reply.result
  }
  await ask('session.new', { capabilities: {} })
  const { contexts } = await ask('browsingContext.getTree')
  const context = contexts[0].context
  await ask('script.addPreloadScript', {
    functionDeclaration: `() => {
      const Original = RTCPeerConnection
      window.connections = []
      window.RTCPeerConnection = class extends Original {
        constructor(...args) {
          super(...args)
          window.connections.push(this)
        }
      };
      (${note})()
    }`,
  })
  await ask('browsingContext.navigate', { context, url: link, wait: 'complete' })
  return async (body) => {
    const { result, exceptionDetails } = await ask('script.evaluate', {
      expression: `(async () => { ${body} })().then(JSON.stringify)`,
      target: { context },
      awaitPromise: true,
      userActivation: true,
    })
    if (exceptionDetails) throw new Error(exceptionDetails.text)
    return JSON.parse(result.value ?? 'null')
  }
}

async function main() {
  const demo = await start(['demo', '--no-browser'], /alice's page: (\S+)/, /bob's page: (\S+)/)
  const page = await open(demo.matches[0])
  step('Firefox shows the page')
  await until('alice can call', () => page(`return !!document.querySelector('main .button.call')`))
  await page(`document.querySelector('main .button.call').click()`)
  await until('alice speaks, and hears echo123', () =>
    page(`
      let said = 0, heard = 0
      for (const s of (await window.connections.at(-1)?.getStats())?.values() ?? []) {
        if (s.type === 'outbound-rtp') said += s.packetsSent
        if (s.type === 'inbound-rtp') heard += s.totalAudioEnergy
      }
      return said > 50 && heard > 0.001`),
  )
  step('Firefox speaks, and hears echo123')

  // Its recorder writes Ogg, which the node takes as it is.
  const click = (words) =>
    until(`there is “${words}”`, () =>
      page(`
        const button = [...document.querySelectorAll('button')].find((b) => b.textContent.trim() === ${JSON.stringify(words)} && b.checkVisibility() && !b.disabled)
        button?.click()
        return !!button`),
    )
  await click('Hang up')
  await page(`location.hash = '#/people/bob'`)
  await until('bob’s page is there', () => page(`
    const more = [...document.querySelectorAll('button')].find((b) => b.title === 'More')
    more?.click()
    return !!more`))
  await click('Leave a voice message')
  await until('two seconds are recorded', () => page(`return /0:0[2-9] of 2:00/.test(document.body.textContent)`))
  await click('Done')
  await until('it can be listened to', () => page(`return document.querySelector('audio')?.duration > 1`))
  await page(`document.querySelector('.choice .primary').click()`)
  await until('it is stored', () => page(`return document.body.textContent.includes('Stored; waits for them')`))
  step('Firefox recorded a voice message')

  // Bob calls with video; Firefox answers.
  const bob = await (await browser(['--use-fake-ui-for-media-stream'])).newPage()
  await bob.addInitScript(note)
  await bob.goto(demo.matches[1])
  await bob.evaluate(() => (location.hash = '#/people/alice'))
  await page(`window.noted = []`)
  await button(bob, 'Call alice with video').click()
  await click('With video')
  const sees = { alice: () => page(`return window.noted`), bob: () => bob.evaluate(() => window.noted) }
  for (const [name, notes] of Object.entries(sees)) {
    await until(`${name} sees and hears`, async () => {
      const n = (await notes()).at(-1)
      return n?.decoded > 40 && n.energy > 0.001
    })
    step(`${name === 'alice' ? 'Firefox' : 'Chromium'}: ${JSON.stringify((await notes()).at(-1))}`)
  }
  await new Promise((done) => setTimeout(done, 4500))
  for (const [name, notes] of Object.entries(sees)) {
    const s = sum((await notes()).slice(-17), 2000)
    check(s.windows.length > 0 && s.windows.every((w) => w.pictures > 0 && w.energy > 0), `${name}'s picture or sound stands still: ${JSON.stringify(s)}`)
  }
  step('Firefox and Chromium see and hear each other')
}

await finish(main, async (failed) => {
  firefox?.kill()
  await closeAll(failed, 'firefox')
})
