// One list of all that was between two people: messages, and calls, files and voice mail where they fit in.

import { dayName } from './format'
import type { CallRecord, Message, SharedFile, Voicemail } from './types'

export type Item =
  | { kind: 'day'; key: string; day: string }
  | { kind: 'fresh'; key: string }
  | { kind: 'call'; key: string; record: CallRecord }
  | { kind: 'file'; key: string; file: SharedFile }
  | { kind: 'voicemail'; key: string; voicemail: Voicemail }
  | { kind: 'message'; key: string; message: Message; first: boolean; last: boolean } // of a group of one author

const GROUP = 5 * 60_000

/**
 * The items of a timeline, the oldest first. lines are in their order, and whole if
 * nothing is before them; calls, files and voice mail are in any order. Before the message fresh is a mark.
 */
export function timeline(lines: Message[], whole: boolean, calls: CallRecord[], files: SharedFile[], voicemails: Voicemail[], fresh: string): Item[] {
  const items: Item[] = []
  let day = ''
  const under = (when: string) => {
    const name = dayName(when)
    if (name === day) return
    day = name
    items.push({ kind: 'day', key: `day ${when}`, day: name })
  }
  const begin = whole || lines.length === 0 ? '' : lines[0]!.sent
  const others: { at: string; item: Item }[] = [
    ...calls.map((record) => ({ at: record.started, item: { kind: 'call', key: record.call, record } as const })),
    ...files.map((file) => ({ at: file.offered, item: { kind: 'file', key: file.file, file } as const })),
    ...voicemails.map((voicemail) => ({ at: voicemail.sent, item: { kind: 'voicemail', key: voicemail.voicemail, voicemail } as const })),
  ]
  // Most have a line of their own, under the same id, which says where they belong.
  const placed = new Map<string, Item>()
  const own = new Set(lines.filter((m) => m.kind !== 'text').map((m) => m.message))
  for (const x of others) if (own.has(x.item.key)) placed.set(x.item.key, x.item)
  const waiting = others.filter((x) => !placed.has(x.item.key) && later(x.at, begin)).sort((a, b) => Date.parse(b.at) - Date.parse(a.at)) // the next one is the last
  const until = (when: string | undefined) => {
    for (let x = waiting.at(-1); x && (when === undefined || later(when, x.at)); x = waiting.at(-1)) {
      waiting.pop()
      under(x.at)
      items.push(x.item)
    }
  }
  for (const m of lines) {
    until(m.sent)
    under(m.sent)
    if (m.message === fresh) items.push({ kind: 'fresh', key: 'fresh' })
    const item = placed.get(m.message)
    if (item) {
      items.push(item)
      continue
    }
    const before = items.at(-1)
    const joins = before?.kind === 'message' && before.message.author === m.author && Math.abs(Date.parse(m.sent) - Date.parse(before.message.sent)) < GROUP
    if (joins) before.last = false
    items.push({ kind: 'message', key: m.message, message: m, first: !joins, last: true })
  }
  until(undefined)
  return items
}

const later = (a: string, b: string) => b === '' || Date.parse(a) > Date.parse(b)
