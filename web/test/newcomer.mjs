// The way of a newcomer, with a stopwatch: `make demo`, then the command that it names,
// alice's page, and a call to echo123 until the own voice is heard. A person reads and moves the
// mouse besides, which the script does not.
//
//   node test/newcomer.mjs [path of linnet]

import { spawn } from 'node:child_process'
import path from 'node:path'
import { browser, button, closeAll } from './browser.mjs'
import { check, finish, here, start, step, until } from './linnet.mjs'
import { note } from './seen.mjs'

async function main() {
  const made = await new Promise((done, fail) => {
    const make = spawn('make', ['demo'], { cwd: path.join(here, '../..') })
    let said = ''
    for (const out of [make.stdout, make.stderr]) out.on('data', (b) => (said += b))
    make.on('exit', (code) => (code === 0 ? done(said) : fail(new Error(said))))
  })
  check(/bin\/linnet demo$/m.test(made), 'make demo does not say how to go on')
  step('make demo showed a call, and said how to go on')
  const demo = await start(['demo', '--no-browser'], /alice's page: (\S+)/)
  const page = await (await browser(['--use-fake-ui-for-media-stream'])).newPage()
  await page.addInitScript(note)
  await page.goto(demo.matches[0])
  await button(page, 'Call echo123 to hear your own voice').click()
  step('alice’s page is there, and calls')
  // echo123 greets, is silent for ten seconds, and plays what it heard: the fake microphone beeps.
  const energy = async () => (await page.evaluate(() => window.noted)).at(-1)?.energy ?? 0
  await until('echo123 greets', async () => (await energy()) > 0.001)
  step('echo123 greets')
  let heard = await energy()
  let since = Date.now()
  await until('the own voice comes back', async () => {
    const e = await energy()
    if (e <= heard + 0.0001) return false
    const pause = Date.now() - since
    heard = e
    since = Date.now()
    return pause > 5000
  })
  step('the own voice is heard')
}

await finish(main, (failed) => closeAll(failed, 'newcomer'))
