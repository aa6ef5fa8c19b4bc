// The node's JSON interface. Cookie and key say that this browser may use it; see
// docs/security.md.

import type { CallRecord, CallSettings, Card, CardStatus, Contact, ConversationStatus, Failure, Listing, Message, Mine, RelayConsent, SearchPage, SharedFile, Status, TransferTo, Video, Voicemail } from './types'

const KEY = 'linnet-key'
const PAGE = 'linnet-page'

/** An error of the node, in words for people. */
export class NodeError extends Error {
  constructor(
    readonly status: number,
    readonly failure: Failure,
  ) {
    super(failure.text)
  }

  get code(): string {
    return this.failure.code
  }
}

/** The node cannot be reached at all. */
export class Unreachable extends Error {}

/** The name of this page: the node knows it again when it was loaded again, but not a copy of the tab. */
export const pageName: string = (() => {
  const kept = sessionStorage.getItem(PAGE)
  sessionStorage.removeItem(PAGE)
  const name = kept ?? crypto.randomUUID()
  addEventListener('pagehide', () => sessionStorage.setItem(PAGE, name))
  return name
})()

export const hasKey = () => localStorage.getItem(KEY) !== null

export function eventsAddress(): string {
  const query = new URLSearchParams({ page: pageName, key: localStorage.getItem(KEY) ?? '' })
  return `${location.protocol.replace('http', 'ws')}//${location.host}/v1/events?${query}`
}

/** Asks the node; a body that is a file goes as it is. */
async function request(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { 'Linnet-Key': localStorage.getItem(KEY) ?? '', 'Linnet-Page': pageName }
  const raw = body instanceof Blob
  if (body !== undefined) headers['Content-Type'] = raw ? 'application/octet-stream' : 'application/json'
  let reply: Response
  try {
    reply = await fetch(path, { method, headers, body: raw ? body : body === undefined ? undefined : JSON.stringify(body) })
  } catch (e) {
    throw new Unreachable(String(e))
  }
  if (!reply.ok) throw new NodeError(reply.status, (await reply.json()) as Failure)
  return reply
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await request(method, path, body)).json() as Promise<T>
}

/** Uses the token of a link, if this page was opened by one. */
export async function openLink(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (token === null) return
  history.replaceState(null, '', '/')
  try {
    const { key } = await ask<{ key: string }>('POST', '/v1/session', { token })
    localStorage.setItem(KEY, key)
  } catch (e) {
    // A link that was opened before does no harm where the browser has a key already.
    if (!(e instanceof NodeError) || !localStorage.getItem(KEY)) throw e
  }
}

/** Over TLS the page is for other machines, too, and has a password. */
export const hasPassword = location.protocol === 'https:'

export async function openWithPassword(password: string): Promise<void> {
  const { key } = await ask<{ key: string }>('POST', '/v1/session', { password })
  localStorage.setItem(KEY, key)
}

const user = (name: string) => encodeURIComponent(name)

export const api = {
  status: () => ask<Status>('GET', '/v1/status'),
  join: (invite: string) => ask('POST', '/v1/network', { invite }),
  register: (name: string, password: string) => ask('POST', '/v1/register', { user: name, password }),
  login: (name: string, password: string) => ask('POST', '/v1/login', { user: name, password }),
  logout: () => ask('POST', '/v1/logout'),
  volunteer: (on: boolean) => ask('PUT', '/v1/volunteer', { on }),
  volunteerRelay: (consent: RelayConsent) => ask('PUT', '/v1/volunteer/relay', consent),
  lookup: (name: string) => ask<Listing>('GET', `/v1/users/${user(name)}`),
  contacts: () => ask<Contact[]>('GET', '/v1/contacts'),
  putContact: (name: string, c: { name?: string; message?: string }) => ask('PUT', `/v1/contacts/${user(name)}`, { user: name, ...c }),
  answerContact: (name: string, yes: boolean) => ask('POST', `/v1/contacts/${user(name)}/answer`, { yes }),
  block: (name: string, on: boolean) => ask('PUT', `/v1/contacts/${user(name)}/block`, { on }),
  removeContact: (name: string) => ask('DELETE', `/v1/contacts/${user(name)}`),
  presence: () => ask<Mine>('GET', '/v1/presence'),
  setPresence: (m: Mine) => ask('PUT', '/v1/presence', m),
  card: () => ask<CardStatus>('GET', '/v1/card'),
  putCard: (c: Card) => ask<CardStatus>('PUT', '/v1/card', c),
  withdrawCard: () => ask<CardStatus>('DELETE', '/v1/card'),
  search: (words: string, page: number) => ask<SearchPage>('GET', `/v1/search?${new URLSearchParams({ words, page: String(page) })}`),
  conversations: () => ask<ConversationStatus[]>('GET', '/v1/conversations'),
  messages: (name: string, before: string | undefined, limit: number) =>
    ask<Message[]>('GET', `/v1/conversations/${user(name)}/messages?${new URLSearchParams({ ...(before && { before }), limit: String(limit) })}`),
  send: (name: string, text: string, reply?: string) => ask<{ message: string }>('POST', `/v1/conversations/${user(name)}/messages`, { text, reply_to: reply }),
  read: (name: string, upTo: string) => ask('PUT', `/v1/conversations/${user(name)}/read`, { message: upTo }),
  typing: (name: string, on: boolean) => ask('PUT', `/v1/conversations/${user(name)}/typing`, { on }),
  edit: (message: string, text: string) => ask('PUT', `/v1/messages/${message}`, { text }),
  erase: (message: string) => ask('DELETE', `/v1/messages/${message}`),
  react: (message: string, emoji: string) => ask('PUT', `/v1/messages/${message}/reaction`, { emoji }),
  findMessages: (words: string) => ask<Message[]>('GET', `/v1/messages?${new URLSearchParams({ words, limit: '30' })}`),
  files: () => ask<SharedFile[]>('GET', '/v1/files'),
  upload: (name: string, file: File) => ask<{ file: string }>('POST', `/v1/users/${user(name)}/files?${new URLSearchParams({ name: file.name })}`, file),
  answerFile: (file: string, yes: boolean) => ask('POST', `/v1/files/${file}/answer`, { yes }),
  pauseFile: (file: string, on: boolean) => ask('PUT', `/v1/files/${file}/pause`, { on }),
  cancelFile: (file: string) => ask('POST', `/v1/files/${file}/cancel`),
  content: async (file: string) => (await request('GET', `/v1/files/${file}/content`)).blob(),
  voicemails: () => ask<Voicemail[]>('GET', '/v1/voicemail?limit=500'),
  voicemailSound: async (id: string) => (await request('GET', `/v1/voicemail/${id}/sound`)).blob(),
  leaveVoicemail: (name: string, about: string | undefined, sound: Blob) =>
    ask<Voicemail>('POST', `/v1/users/${user(name)}/voicemail?${new URLSearchParams(about && { call: about })}`, sound),
  heardVoicemail: (id: string) => ask('POST', `/v1/voicemail/${id}/heard`),
  deleteVoicemail: (id: string) => ask('DELETE', `/v1/voicemail/${id}`),
  history: () => ask<CallRecord[]>('GET', '/v1/calls?limit=500'),
  page: (offer: string) => ask<{ answer: string }>('POST', '/v1/page', { offer }),
  call: (name: string, video: Video) => ask<{ call: string }>('POST', '/v1/calls', { user: name, page: true, video }),
  answer: (id: string, video: Video) => ask('POST', `/v1/calls/${id}/answer`, { page: true, video }),
  video: (id: string, video: Video) => ask('POST', `/v1/calls/${id}/video`, { video }),
  hangUp: (id: string) => ask('POST', `/v1/calls/${id}/hangup`),
  hold: (id: string, on: boolean) => ask('POST', `/v1/calls/${id}/hold`, { on }),
  transfer: (id: string, to: TransferTo) => ask('POST', `/v1/calls/${id}/transfer`, to),
  answerTransfer: (id: string, yes: boolean) => ask<{ call: string }>('POST', `/v1/calls/${id}/transfer/answer`, yes ? { yes, page: true } : { yes }),
  callSettings: () => ask<CallSettings>('GET', '/v1/settings/calls'),
  setCallSettings: (s: CallSettings) => ask('PUT', '/v1/settings/calls', s),
  tone: (id: string, tone: string) => ask('POST', `/v1/calls/${id}/tone`, { tone }),
}
