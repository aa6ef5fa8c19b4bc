// The way of a newcomer, with a stopwatch: `make demo` at a terminal, the page that it
// opens, and a call to echo123 until the own voice is heard. A person reads and moves the
// mouse besides, which the script does not.
//
//   node test/newcomer.mjs

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { browser, button, closeAll } from './browser.mjs'
import { finish, here, home, startBy, step, until } from './linnet.mjs'
import { note } from './seen.mjs'

async function main() {
  // What opens the page on a desktop; here it leaves word of what to open.
  const opened = path.join(home, 'opened')
  writeFileSync(path.join(home, 'xdg-open'), `#!/bin/sh\necho "$1" >${opened}.new && mv ${opened}.new ${opened}\n`, { mode: 0o755 })
  const { matches } = await startBy(['script'], ['-qec', `DISPLAY=:none PATH=${home}:$PATH make -C ${path.join(here, '../..')} demo; exit`, '/dev/null'], /click "([^"]+)"/)
  step('make demo says what to click')
  const file = await until('the page opens', () => {
    try {
      return readFileSync(opened, 'utf8').trim()
    } catch {
      return ''
    }
  })
  const page = await (await browser(['--use-fake-ui-for-media-stream'])).newPage()
  await page.addInitScript(note)
  await page.goto(`file://${file}`)
  await button(page, matches[0]).click()
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
