import { text } from './text'
import type { CallRecord } from './types'

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
const shortDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })

export const time = (iso: string) => clock.format(new Date(iso))

function daysAgo(d: Date): number {
  const midnight = (x: Date) => new Date(x.getFullYear(), x.getMonth(), x.getDate()).getTime()
  return Math.round((midnight(new Date()) - midnight(d)) / 86_400_000)
}

export function dayName(iso: string): string {
  const d = new Date(iso)
  const ago = daysAgo(d)
  if (ago === 0) return text.when.today
  if (ago === 1) return text.when.yesterday
  return day.format(d)
}

/** When something was, in as few words as a list has room for. */
export function shortly(iso: string): string {
  const d = new Date(iso)
  const ago = daysAgo(d)
  if (ago === 0) return clock.format(d)
  if (ago === 1) return text.when.yesterday
  return shortDay.format(d)
}

/** The time and the day of it, for who wants to know exactly. */
export const moment = (iso: string) => (daysAgo(new Date(iso)) === 0 ? time(iso) : `${dayName(iso)}, ${time(iso)}`)

export const date = (iso: string) => shortDay.format(new Date(iso))

/** 0:07, 12:30, 1:02:03 */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  const two = (n: number) => String(n).padStart(2, '0')
  const h = Math.floor(s / 3600)
  const m = Math.floor(s / 60) % 60
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`
}

/** 12 s, 3 min 4 s, 1 h 2 min */
export function talked(r: CallRecord): string {
  if (!r.answered || !r.ended) return ''
  const s = Math.round((Date.parse(r.ended) - Date.parse(r.answered)) / 1000)
  if (s < 60) return `${s} s`
  if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`
}

export function milliseconds(ms: number): string {
  return ms < 1 ? '< 1 ms' : `${Math.round(ms)} ms`
}

/** "direct, 23 ms" */
export function path(r: CallRecord): string {
  const name = text.path[r.path] ?? r.path
  return r.rtt_ms > 0 && r.path !== 'none' && r.path !== 'forwarded' ? `${name}, ${milliseconds(r.rtt_ms)}` : name
}

/** 1.2 Mbit/s */
export function bitrate(bps: number): string {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(bps < 1e7 ? 1 : 0)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`
}

/** 1.2 MB */
export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  const unit = ['kB', 'MB', 'GB', 'TB']
  let i = -1
  do {
    n /= 1000
    i++
  } while (n >= 999.5 && i < 3)
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit[i]}`
}

export function percent(share: number): string {
  if (share === 0) return '0 %'
  return share < 0.001 ? '< 0.1 %' : `${(share * 100).toFixed(1)} %`
}

export type Quality = 'good' | 'fair' | 'poor' | 'unknown'

/** The steps of G.107, annex B, in three. */
export function quality(mos: number): Quality {
  if (mos === 0) return 'unknown'
  return mos >= 4 ? 'good' : mos >= 3.6 ? 'fair' : 'poor'
}

export function missed(r: CallRecord): boolean {
  return r.incoming && !r.answered && ['missed', 'busy', 'lost', 'failed'].includes(r.outcome)
}

export function outcome(r: CallRecord): string {
  if (missed(r)) return text.outcome.missed
  if (r.incoming && r.outcome === 'rejected') return text.rejectedByMe
  return text.outcome[r.outcome] ?? r.outcome
}

/** The newest first. */
export const newest = (a: CallRecord, b: CallRecord) => Date.parse(b.started) - Date.parse(a.started)

/** A colour of its own for each name, the same everywhere. */
export function hue(name: string): number {
  let h = 7
  for (const c of name) h = (h * 31 + c.charCodeAt(0)) % 360
  return h
}

/** The invite in what somebody typed, pasted or scanned, which may be a whole letter. */
export function inviteIn(s: string): string | null {
  return s.match(/linnet:[a-z2-7]+/i)?.[0] ?? null
}

const validName = /^[a-z][a-z0-9._-]{2,31}$/

/** The user name that somebody typed, or null. */
export function userName(s: string): string | null {
  const name = s.trim().toLowerCase()
  return validName.test(name) ? name : null
}
