// Hosts behind links that lose and limit, for whole programs: natlab's, which lies
// beside the repository and needs root. They are asked for by LINNET_NATLAB.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { here, home, linnet } from './linnet.mjs'

const natlab = path.resolve(here, '../../../shared/natlab/natlab')
const name = 'page'

/** Runs a command of natlab. */
export const lab = (...args) => execFileSync(natlab, ['-n', name, ...args], { encoding: 'utf8' }).trim()

/** The command that runs linnet on a host. */
export const linnetOn = (host) => [natlab, '-n', name, 'exec', host, '--', linnet]

/** A Chromium of this host, as a program without arguments of its own. */
export function chromiumOn(host) {
  const file = path.join(home, `chromium-${host}`)
  writeFileSync(file, `#!/bin/sh\nexec "${natlab}" -n ${name} exec ${host} -- /usr/bin/chromium "$@"\n`, { mode: 0o755 })
  return file
}
