// What the tests of the page have in common: programs that run, and waiting.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const here = path.dirname(new URL(import.meta.url).pathname)
export const linnet = path.resolve(process.argv[2] ?? path.join(here, '../../bin/linnet'))
export const home = mkdtempSync(path.join(tmpdir(), 'linnet-page-'))
const began = Date.now()

export const patience = 60_000 // machines under load are slow

export function step(what) {
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${what}`)
}

export function check(ok, what) {
  if (!ok) throw new Error(what)
}

export async function until(what, ok) {
  const end = Date.now() + patience
  for (;;) {
    const value = await ok()
    if (value) return value
    if (Date.now() > end) throw new Error(`after ${patience / 1000} s still not: ${what}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}

// Programs that were started, and what they said.
const running = []

/** Runs linnet until it has said all that is wanted. */
export const start = (args, ...wanted) => startBy([linnet], args, ...wanted)

/** The same, where the command before the arguments is a longer one. */
export function startBy([command, ...before], args, ...wanted) {
  const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DISPLAY: '', WAYLAND_DISPLAY: '' } })
  const program = { child, said: '', args }
  running.push(program)
  const found = new Promise((done, fail) => {
    const listen = (b) => {
      program.said += b
      const matches = wanted.map((w) => program.said.match(w))
      if (matches.every(Boolean)) done(matches.map((m) => m[1] ?? m[0]))
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.on('exit', (code) => fail(new Error(`linnet ${args.join(' ')} ended with ${code}:\n${program.said}`)))
  })
  return found.then((matches) => ({ ...program, matches }))
}

/** Runs a command on the node of a person, to its end. */
export function on(name, args, input = '') {
  return new Promise((done, fail) => {
    const child = spawn(linnet, ['--home', path.join(home, name), ...args])
    let said = ''
    for (const out of [child.stdout, child.stderr]) out.on('data', (b) => (said += b))
    child.on('error', fail)
    child.on('exit', (code) => (code === 0 ? done(said) : fail(new Error(`${name}: linnet ${args.join(' ')} ended with ${code}:\n${said}`))))
    child.stdin.on('error', () => {}) // it asked nothing
    child.stdin.end(input)
  })
}

/** Makes an account. */
export const register = (name) => on(name, ['register', name, '--password-file', '-'], 'two birds, one telephone\n')

/** Makes two people each other's contacts. */
export async function befriend(one, other) {
  await until(`${one} finds ${other}`, () => on(one, ['lookup', other]).then((said) => said.includes('online') && !said.includes('not online'), () => false))
  await on(one, ['contacts', 'add', other])
  await until(`${other} is asked by ${one}`, async () => (await on(other, ['contacts'])).includes(one))
  await on(other, ['contacts', 'accept', one])
}

/** Runs a test, cleans up, and ends with the right exit code. */
export async function finish(main, cleanUp) {
  let code = 0
  try {
    await main()
  } catch (e) {
    code = 1
    console.error(e)
    for (const p of running) console.error(`--- linnet ${p.args.join(' ')}\n${p.said}`)
  }
  await cleanUp(code !== 0)
  for (const p of running) p.child.kill('SIGKILL')
  rmSync(home, { recursive: true, force: true })
  process.exit(code)
}
