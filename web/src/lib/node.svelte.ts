// What the page knows of the node: it asks once, and then listens.

import { api, eventsAddress, hasKey, NodeError, openLink, Unreachable } from './api'
import { chat } from './chat.svelte'
import { duration, missed, moment, newest } from './format'
import { inView, notifyOf } from './notify.svelte'
import { phone, PhoneError, type Problem } from './phone.svelte'
import { route } from './route.svelte'
import { chime } from './sound'
import { text } from './text'
import type { Call, CallRecord, Contact, Message, Mine, NodeEvent, SharedFile, Presence, Status, TransferTo, Video, Voicemail } from './types'

export const ECHO = 'echo123'
const SEEN = 'linnet-seen-calls'

type Phase = 'loading' | 'locked' | 'gone' | 'ready'

class Node {
  phase = $state<Phase>('loading')
  linkUsed = $state(false)
  status = $state<Status>()
  contacts = $state<Contact[]>([])
  adding = $state('') // to whom a request is being written
  mine = $state<Mine>({ presence: 'online', mood: '' })
  history = $state<CallRecord[]>([])
  calls = $state<Call[]>([])
  files = $state.raw<SharedFile[]>([])
  voicemails = $state.raw<Voicemail[]>([])
  isPhone = $state(false)
  second = $state(false) // another page is the phone
  ended = $state<string>() // the call whose receipt is shown
  problems = $state<(Problem & { id: number })[]>([])
  seen = $state<string[]>(JSON.parse(localStorage.getItem(SEEN) ?? '[]')) // missed calls that were looked at: one may be told of days later

  asking = $derived(this.contacts.filter((c) => c.state === 'asking'))
  blocked = $derived(this.contacts.filter((c) => c.state === 'blocked'))
  ringing = $derived(this.calls.filter((c) => c.incoming && c.state === 'ringing'))
  talking = $derived(this.calls.filter((c) => !(c.incoming && c.state === 'ringing')))
  busy = $derived(this.isPhone && this.talking.some((c) => c.page)) // a second call shows beside the first
  offers = $derived(this.calls.filter((c) => c.transfer && !c.transfer.mine && c.transfer.state === 'asked')) // to be handed over

  #socket: WebSocket | undefined
  #taking: (() => void)[] = []
  #nextProblem = 0
  #refreshing = 0

  name(user: string): string {
    return this.contact(user)?.name || user
  }

  contact(user: string): Contact | undefined {
    return this.contacts.find((c) => c.user === user)
  }

  /** On the own list, whether they have agreed or not. */
  isContact(user: string): boolean {
    const state = this.contact(user)?.state
    return state === 'asked' || state === 'approved'
  }

  /** What an approved contact says of himself; of others there is nothing to show. */
  presence(user: string): Presence | undefined {
    const c = this.contact(user)
    return c?.state === 'approved' ? c.presence : undefined
  }

  /** Missed calls that nobody has looked at. */
  missed = $derived.by(() => {
    const seen = new Set(this.seen)
    return this.history.filter((r) => missed(r) && !seen.has(r.call))
  })

  missedOf(user: string): number {
    return this.missed.filter((r) => r.peer === user).length
  }

  look(user: string): void {
    const fresh = this.missed.filter((r) => r.peer === user)
    if (!fresh.length) return
    const kept = new Set(this.history.map((r) => r.call))
    this.seen = [...this.seen.filter((id) => kept.has(id)), ...fresh.map((r) => r.call)]
    localStorage.setItem(SEEN, JSON.stringify(this.seen))
  }

  /** Voice mail that nobody has heard. */
  unheard = $derived(this.voicemails.filter((v) => !v.own && !v.heard))

  unheardOf(user: string): number {
    return this.unheard.filter((v) => v.peer === user).length
  }

  async start(): Promise<void> {
    phone.onVideoEnded = () => {
      for (const c of this.calls) if (c.page && (c.video_here ?? 'none') !== 'none') void this.video(c, 'none')
    }
    try {
      await openLink()
    } catch (e) {
      this.linkUsed = e instanceof NodeError
    }
    if (hasKey()) this.#listen()
    else this.phase = 'locked'
  }

  async #load(): Promise<void> {
    try {
      ;[this.status, this.history] = await Promise.all([api.status(), api.history()])
      if (this.status.user) await this.#reloadAll()
      this.history = this.history.filter((r) => r.ended).sort(newest)
      this.calls = this.status.calls ?? []
      this.phase = 'ready'
      this.#sound()
    } catch (e) {
      this.#lost(e)
    }
  }

  #lost(e: unknown): void {
    if (e instanceof NodeError && e.status === 401) this.phase = 'locked'
    else if (e instanceof Unreachable) this.phase = 'gone'
    else this.tell(e)
  }

  /** Asks for the status again, soon and once. */
  refresh(): void {
    clearTimeout(this.#refreshing)
    this.#refreshing = window.setTimeout(async () => {
      try {
        const before = this.status?.user
        this.status = await api.status()
        this.calls = this.status.calls ?? []
        if (this.status.user === before) return
        chat.reset()
        if (this.status.user) await this.#reloadAll()
      } catch (e) {
        this.#lost(e)
      }
    }, 50)
  }

  #listen(): void {
    const socket = new WebSocket(eventsAddress())
    this.#socket = socket
    socket.onopen = () => void this.#load()
    socket.onmessage = (m) => this.#happened(JSON.parse(m.data as string) as NodeEvent)
    socket.onclose = async () => {
      if (this.phase === 'ready' || this.phase === 'loading') {
        try {
          await api.status() // why: a key that is missing, or a node that stopped
        } catch (e) {
          this.#lost(e)
        }
      } else if (this.phase === 'locked') {
        return // a link opens the page anew
      }
      setTimeout(() => this.#listen(), 1000)
    }
  }

  #happened(e: NodeEvent): void {
    switch (e.kind) {
      case 'phone':
        this.isPhone = e.phone === true
        this.second = !this.isPhone
        if (!this.isPhone) phone.disconnect()
        else for (const go of this.#taking.splice(0)) go()
        this.#sound()
        return
      case 'call-merged':
        this.calls = this.calls.filter((c) => c.call !== e.was)
        break
      case 'call-ended':
        if (e.record) this.#over(e.record)
        return
      case 'warning':
        if (e.text && !e.call) this.tell(new PhoneError({ text: e.text }))
        this.refresh()
        return
      case 'presence':
      case 'contact-asks':
      case 'contact-accepted':
      case 'contact-declined':
      case 'contact-changed':
        if (e.contact) this.#know(e.contact)
        if (e.contact && e.kind === 'contact-asks') this.#notify(text.requests.asks(this.name(e.contact.user)), e.contact.message ?? '', e.contact.user)
        return
      case 'mine':
        if (e.mine) this.mine = e.mine
        return
      case 'message':
      case 'message-changed':
        if (e.message) this.#said(e.message, e.kind === 'message')
        return
      case 'file-offered':
      case 'file-changed':
      case 'file-progress':
        if (e.file) this.#file(e.file, e.kind === 'file-offered')
        return
      case 'voicemail':
        if (e.voicemail) this.#voicemail(e.voicemail)
        return
      case 'typing':
        if (e.typing) chat.with(e.typing.user).theyWrite(e.typing)
        return
      case 'unread':
        if (e.unread) chat.status(e.unread)
        return
      case 'online':
      case 'offline':
      case 'role':
        this.refresh()
        return
    }
    if (e.call) this.#put(e.call)
  }

  #said(m: Message, fresh: boolean): void {
    chat.with(m.user).take(m)
    if (!fresh || m.author !== m.user || m.kind !== 'text') return
    if (this.isPhone && !this.looksAt(m.user)) chime('message')
    this.#notify(this.name(m.user), m.text, m.user)
  }

  #file(f: SharedFile, offered: boolean): void {
    const i = this.files.findIndex((x) => x.file === f.file)
    this.files = i < 0 ? [f, ...this.files] : this.files.with(i, f)
    if (!offered || !f.incoming) return
    if (this.isPhone && !this.looksAt(f.peer)) chime('message')
    this.#notify(text.file.offers(this.name(f.peer)), f.name, f.peer)
  }

  #voicemail(v: Voicemail): void {
    const known = this.voicemails.find((x) => x.voicemail === v.voicemail)
    if (known) {
      this.voicemails = this.voicemails.map((x) => (x === known ? { ...x, heard: v.heard } : x))
    } else if (v.own) {
      if (!v.heard) this.voicemails = [v, ...this.voicemails]
    } else {
      this.voicemails = [v, ...this.voicemails]
      if (this.isPhone && !this.looksAt(v.peer)) chime('message')
      this.#notify(text.voicemail.from(this.name(v.peer)), duration(v.seconds * 1000), v.peer)
    }
  }

  async heard(v: Voicemail): Promise<void> {
    if (v.heard || !(await this.try(() => api.heardVoicemail(v.voicemail)))) return
    this.#voicemail({ ...v, heard: new Date().toISOString() })
  }

  async deleteVoicemail(v: Voicemail): Promise<void> {
    if (await this.try(() => api.deleteVoicemail(v.voicemail))) this.voicemails = this.voicemails.filter((x) => x.voicemail !== v.voicemail)
  }

  /** Offers files to somebody, one after the other. */
  async sendFiles(user: string, files: Iterable<File>): Promise<void> {
    for (const f of files) {
      if (!(await this.try(() => api.upload(user, f)))) return
    }
  }

  /** The conversation with somebody is before the eyes of the user. */
  looksAt(user: string): boolean {
    return inView() && route.place.at === 'person' && route.place.user === user
  }

  #know(c: Contact): void {
    const rest = this.contacts.filter((x) => x.user !== c.user)
    this.contacts = c.state === 'none' ? rest : [...rest, c]
  }

  #put(c: Call): void {
    if (c.state === 'ended') return // the record follows
    const i = this.calls.findIndex((x) => x.call === c.call)
    const before = this.calls[i]
    if (c.state === 'active' && before && before.state !== 'active' && before.state !== 'held' && this.isPhone && c.page) chime('begin')
    if (i < 0) this.calls.push(c)
    else this.calls[i] = { ...c, page: c.page || before?.page }
    this.ended = undefined
    this.#sound()
  }

  #over(r: CallRecord): void {
    const call = this.calls.find((c) => c.call === r.call)
    this.calls = this.calls.filter((c) => c.call !== r.call)
    this.history = [r, ...this.history.filter((x) => x.call !== r.call)].sort(newest) // of a call that was missed one may hear late
    if (call?.page && this.isPhone) {
      if (r.answered) chime('end')
      this.ended = r.call
    }
    if (missed(r)) this.#notify(text.people.missedFrom(this.name(r.peer)), moment(r.started), r.peer)
    this.#sound()
  }

  /** Of several pages that are open the phone tells. */
  #notify(title: string, body: string, user: string): void {
    if (this.isPhone) notifyOf(title, body, `#/people/${encodeURIComponent(user)}`)
  }

  /** Microphone and loudspeaker are connected while a call is spoken here. */
  #sound(): void {
    if (this.phase !== 'ready' || !this.isPhone) return
    if (this.talking.some((c) => c.page)) {
      phone.connect().catch((e) => this.tell(e))
      this.#filmAgain()
    }
    else if (!this.#placing) phone.disconnect()
  }

  /** A page that was loaded again has no camera yet, and nobody may open a screen unasked. */
  #filmAgain(): void {
    const c = this.calls.find((c) => c.page && (c.video_here ?? 'none') !== 'none')
    if (!c || phone.showing !== 'none' || this.#filming) return
    void this.video(c, c.video_here === 'camera' ? 'camera' : 'none')
  }

  #filming = false

  /** Shows the camera, the screen or nothing in a call. */
  async video(c: Call, what: Video): Promise<void> {
    this.#filming = true
    try {
      let shown: Video = 'none'
      try {
        shown = await phone.show(what)
      } catch (e) {
        this.tell(e)
      }
      await this.try(() => api.video(c.call, shown))
    } finally {
      this.#filming = false
    }
  }

  #placing = 0 // calls that are being made or answered

  /** Opens the microphone first: nobody is called who could not be heard. */
  async #withPhone(video: boolean, then: (shown: Video) => Promise<unknown>): Promise<boolean> {
    this.#placing++
    this.#filming = true
    try {
      await this.take()
      let shown: Video = 'none'
      if (video) shown = await phone.show('camera').catch((e) => (this.tell(e), 'none')) // a call without it is better than none
      await phone.connect()
      await then(shown)
      return true
    } catch (e) {
      this.tell(e)
      return false
    } finally {
      this.#placing--
      this.#filming = false
      if (!this.talking.some((c) => c.page)) setTimeout(() => this.#sound(), 3000)
    }
  }

  call(user: string, video = false): Promise<boolean> {
    return this.#withPhone(video, async (shown) => {
      const { call } = await api.call(user, shown)
      if (!this.calls.some((c) => c.call === call) && this.history[0]?.call !== call) this.refresh()
    })
  }

  async answer(c: Call, video = false): Promise<boolean> {
    await this.#hideBeside(c)
    return this.#withPhone(video, (shown) => api.answer(c.call, shown))
  }

  /** Hands the other end of a call over to somebody. */
  transfer(c: Call, to: TransferTo): Promise<boolean> {
    return this.try(() => api.transfer(c.call, to))
  }

  /** Calls whom the other end of a call hands the user over to. */
  async beHandedOver(c: Call): Promise<void> {
    await this.#hideBeside(undefined)
    await this.#withPhone(false, () => api.answerTransfer(c.call, true))
  }

  async stay(c: Call): Promise<void> {
    await this.try(() => api.answerTransfer(c.call, false))
  }

  async hangUp(c: Call): Promise<void> {
    await this.try(() => api.hangUp(c.call))
  }

  async hold(c: Call, on: boolean): Promise<void> {
    if (!on) await this.#hideBeside(c)
    await this.try(() => api.hold(c.call, on))
  }

  /** Who is shown to one does not show himself to the next one unasked. */
  async #hideBeside(c: Call | undefined): Promise<void> {
    for (const other of this.calls) if (other.page && other.call !== c?.call && (other.video_here ?? 'none') !== 'none') await this.video(other, 'none')
  }

  /** Makes this page the phone. */
  take(): Promise<void> {
    if (this.isPhone) return Promise.resolve()
    return new Promise((done) => {
      this.#taking.push(done)
      this.#socket?.send(JSON.stringify({ take: true }))
    })
  }

  async #reloadAll(): Promise<void> {
    const [files, voicemails] = await Promise.all([api.files(), api.voicemails(), this.reloadPeople(), chat.load()])
    this.files = files
    this.voicemails = voicemails
  }

  /** Who is known, and what the user says of himself: other programs may change both. */
  async reloadPeople(): Promise<void> {
    ;[this.contacts, this.mine] = await Promise.all([api.contacts(), api.presence()])
  }

  /** Does something about contacts, and shows what came of it. */
  async change(what: () => Promise<unknown>): Promise<boolean> {
    return (await this.try(what)) && this.try(() => this.reloadPeople())
  }

  accept(user: string): Promise<boolean> {
    return this.change(() => api.answerContact(user, true))
  }

  decline(user: string): Promise<boolean> {
    return this.change(() => api.answerContact(user, false))
  }

  block(user: string, on: boolean): Promise<boolean> {
    return this.change(() => api.block(user, on))
  }

  say(mine: Partial<Mine>): Promise<boolean> {
    return this.change(() => api.setPresence({ ...this.mine, ...mine }))
  }

  async try(what: () => Promise<unknown>): Promise<boolean> {
    try {
      await what()
      return true
    } catch (e) {
      this.tell(e)
      return false
    }
  }

  tell(e: unknown): void {
    let p: Problem = { text: text.failed, hint: e instanceof Error ? e.message : String(e) }
    if (e instanceof PhoneError) p = e.problem
    else if (e instanceof NodeError) p = { text: sentence(e.failure.text), hint: e.failure.hint && sentence(e.failure.hint) }
    else if (e instanceof Unreachable) return
    if (this.problems.some((x) => x.text === p.text)) return
    const id = this.#nextProblem++
    this.problems.push({ ...p, id })
    setTimeout(() => this.dismiss(id), 15_000)
  }

  dismiss(id: number): void {
    this.problems = this.problems.filter((p) => p.id !== id)
  }
}

/** The node's texts are parts of sentences. */
export function sentence(s: string): string {
  return s.charAt(0).toUpperCase() + s.slice(1)
}

export const node = new Node()
