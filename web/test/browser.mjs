// What the tests of the page in Debian's Chromium have in common.

import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'
import { check, here, patience } from './linnet.mjs'

const shots = path.join(here, '../shots')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  '--use-fake-device-for-media-stream']

mkdirSync(shots, { recursive: true })
const browsers = []

/** A browser of its own for each person: cookies and microphone are apart. connections are those of its pages. */
export async function browser(more, options, executablePath = '/usr/bin/chromium') {
  const b = await chromium.launch({ executablePath, headless: true, args: [...flags, ...more] })
  browsers.push(b)
  const context = await b.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light', ...options })
  context.setDefaultTimeout(patience)
  await context.addInitScript(() => {
    const Original = window.RTCPeerConnection
    window.connections = []
    window.RTCPeerConnection = class extends Original {
      constructor(...args) {
        super(...args)
        window.connections.push(this)
      }
    }
  })
  return context
}

export const shot = (page, name) => page.screenshot({ path: path.join(shots, `${name}.png`) })

/** Nothing on the page is in the way of people who cannot see or use a mouse. */
export async function accessible(page, what) {
  await page.evaluate(axe + ';0') // the CSP allows no inline script; evaluate is outside of it
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }))
  check(violations.length === 0, `${what} is not accessible:\n${violations.map((v) => `  ${v.id}: ${v.help}\n    ${v.nodes.map((n) => n.target.join(' ') + ' ' + (n.any[0]?.message ?? '')).join('\n    ')}`).join('\n')}`)
}

/** A state as all see it: in the light, in the dark and on a telephone. */
export async function looks(page, name, forms = ['', '-dark', '-phone']) {
  for (const form of forms) {
    await page.setViewportSize(form.includes('phone') ? { width: 375, height: 740 } : { width: 1280, height: 800 })
    await page.emulateMedia({ colorScheme: form.includes('dark') ? 'dark' : 'light' })
    await accessible(page, name + form)
    check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than a telephone`)
    await shot(page, name + form)
  }
  await page.setViewportSize({ width: 1280, height: 800 })
  await page.emulateMedia({ colorScheme: 'light' })
}

export const button = (page, name) => page.getByRole('button', { name, exact: true })

export async function signUp(page, name, password) {
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.locator('form').getByRole('button', { name: 'Create an account' }).click()
  await page.getByText('Online', { exact: true }).first().waitFor()
}

/** Ends all browsers; after a failure it leaves pictures of their pages. */
export async function closeAll(failed, name) {
  const pages = browsers.flatMap((b) => b.contexts()).flatMap((c) => c.pages())
  if (failed) await Promise.all(pages.map((p, i) => shot(p, `${name}-failed-${i}`).catch(() => {})))
  await Promise.all(browsers.map((b) => b.close().catch(() => {})))
}
