// One list of all that was between two people: messages, and calls where they fit in.

import { dayName } from './format'
import type { CallRecord, Message } from './types'

export type Item =
  | { kind: 'day'; key: string; day: string }
  | { kind: 'fresh'; key: string }
  | { kind: 'call'; key: string; record: CallRecord }
  | { kind: 'message'; key: string; message: Message; first: boolean; last: boolean } // of a group of one author

const GROUP = 5 * 60_000

/**
 * The items of a timeline, the oldest first. lines are in their order, and whole if
 * nothing is before them; calls are the newest first. Before the message fresh is a mark.
 */
export function timeline(lines: Message[], whole: boolean, calls: CallRecord[], fresh: string): Item[] {
  const items: Item[] = []
  let day = ''
  const under = (when: string) => {
    const name = dayName(when)
    if (name === day) return
    day = name
    items.push({ kind: 'day', key: `day ${when}`, day: name })
  }
  const begin = whole || lines.length === 0 ? '' : lines[0]!.sent
  const waiting = calls.filter((r) => later(r.started, begin)) // its last one comes first
  const callsUntil = (when: string | undefined) => {
    for (let r = waiting.at(-1); r && (when === undefined || later(when, r.started)); r = waiting.at(-1)) {
      waiting.pop()
      under(r.started)
      items.push({ kind: 'call', key: r.call, record: r })
    }
  }
  for (const m of lines) {
    if (m.kind === 'call') continue // calls has it, with all about it
    callsUntil(m.sent)
    under(m.sent)
    if (m.message === fresh) items.push({ kind: 'fresh', key: 'fresh' })
    const before = items.at(-1)
    const joins = before?.kind === 'message' && before.message.author === m.author && Math.abs(Date.parse(m.sent) - Date.parse(before.message.sent)) < GROUP
    if (joins) before.last = false
    items.push({ kind: 'message', key: m.message, message: m, first: !joins, last: true })
  }
  callsUntil(undefined)
  return items
}

const later = (a: string, b: string) => b === '' || Date.parse(a) > Date.parse(b)
