// What was written with whom. Lines are read from the node as people scroll up to
// them; the node keeps all.

import { api } from './api'
import type { ConversationStatus, Message, Typing } from './types'

const PAGE = 50
const KEEP = 200 // lines of a conversation that nobody looks at
const DRAFTS = 'linnet-drafts'
const WRITES = 10_000 // how long somebody seems to write after a word of it

/** All that is known of what was written with one person. */
export class Conversation {
  lines = $state.raw<Message[]>([])
  whole = $state(false) // nothing is before the first of lines
  unread = $state(0)
  last = $state.raw<Message>()
  typing = $state(false)
  draft = $state('')
  opened = $state(false) // the lines are asked for
  #reading: Promise<void> | undefined
  #quiet = 0
  #told = 0 // when they were told that the user writes

  constructor(readonly user: string) {
    this.draft = drafts()[user] ?? ''
  }

  /** Reads the newest lines, once: all that are unread, and some before. */
  open(): Promise<void> {
    if (this.opened) return Promise.resolve()
    this.opened = true
    return this.#read(Math.min(1000, this.unread + PAGE))
  }

  /** Reads lines before those that are there. */
  earlier(): Promise<void> {
    return this.whole ? Promise.resolve() : this.#read(PAGE)
  }

  /** Reads until a message is among the lines; false if there is none. */
  async reach(id: string): Promise<boolean> {
    await this.open()
    for (;;) {
      if (this.find(id)) return true
      if (this.whole) return false
      const before = this.lines.length
      await this.earlier()
      if (this.lines.length === before) return false
    }
  }

  find(id: string): Message | undefined {
    return this.lines.find((m) => m.message === id)
  }

  #read(limit: number): Promise<void> {
    this.#reading ??= (async () => {
      const page = await api.messages(this.user, this.lines[0]?.message, limit)
      this.whole = page.length < limit
      const known = new Set(this.lines.map((m) => m.message))
      this.lines = [...page.filter((m) => !known.has(m.message)), ...this.lines]
    })().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** A message that is new, or another now. */
  take(m: Message): void {
    if (!this.last || !before(m, this.last)) this.last = m
    if (m.author === this.user) this.#silent()
    const i = this.lines.findIndex((x) => x.message === m.message)
    if (i >= 0) {
      this.lines = this.lines.with(i, m)
    } else if (this.opened && (this.whole || (this.lines[0] && !before(m, this.lines[0])))) {
      let at = this.lines.length
      while (at > 0 && before(m, this.lines[at - 1]!)) at--
      this.lines = this.lines.toSpliced(at, 0, m)
    }
  }

  /** Nobody looks at it any more. */
  rest(): void {
    if (this.lines.length <= KEEP) return
    this.lines = this.lines.slice(-KEEP)
    this.whole = false
  }

  /** Forgets the lines: something may have been missed. */
  forget(): void {
    this.lines = []
    this.whole = false
    this.opened = false
  }

  theyWrite(t: Typing): void {
    this.#silent()
    if (!t.on) return
    this.typing = true
    this.#quiet = window.setTimeout(() => (this.typing = false), WRITES)
  }

  #silent(): void {
    clearTimeout(this.#quiet)
    this.typing = false
  }

  /** Keeps what is being written, and tells them that something is. */
  write(text: string, editing: boolean): void {
    if (!editing) {
      this.draft = text
      keepDraft(this.user, text)
    }
    const now = Date.now()
    if (text.trim() && now - this.#told > WRITES / 2) {
      this.#told = now
      api.typing(this.user, true).catch(() => {})
    } else if (!text.trim() && this.#told) {
      this.#told = 0
      api.typing(this.user, false).catch(() => {})
    }
  }

  /** What was written is sent. */
  sent(): void {
    this.#told = 0 // the message ends it at their side
    this.draft = ''
    keepDraft(this.user, '')
  }
}

/** The order of lines, the same on all devices. */
const before = (a: Message, b: Message) => a.position < b.position || (a.position === b.position && a.message < b.message)

const drafts = (): Record<string, string> => JSON.parse(localStorage.getItem(DRAFTS) ?? '{}')

function keepDraft(user: string, text: string): void {
  const all = drafts()
  if (text) all[user] = text
  else delete all[user]
  localStorage.setItem(DRAFTS, JSON.stringify(all))
}

class Chat {
  all = $state<Record<string, Conversation>>({})

  unread = $derived(Object.values(this.all).reduce((n, c) => n + c.unread, 0))

  /** The conversation with somebody, if one has begun. */
  of(user: string): Conversation | undefined {
    return this.all[user]
  }

  /** The conversation with somebody, which need not have begun. */
  with(user: string): Conversation {
    return (this.all[user] ??= new Conversation(user))
  }

  async load(): Promise<void> {
    const list = await api.conversations()
    for (const c of Object.values(this.all)) c.forget()
    for (const c of list) this.status(c)
  }

  status(s: ConversationStatus): void {
    const c = this.with(s.user)
    c.unread = s.unread
    if (s.last) c.last = s.last
  }

  reset(): void {
    this.all = {}
  }
}

export const chat = new Chat()
