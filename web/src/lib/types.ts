// What the node says, in its own words: openapi.json describes it.

export interface Failure {
  code: string
  text: string
  hint?: string
  cause?: string
}

export type CallState = 'idle' | 'looking' | 'ringing' | 'active' | 'held' | 'ended'

export interface PathSpan {
  t_ms: number
  path: string
  via?: string
  rtt_ms: number
}

export interface CallRecord {
  call: string
  peer: string
  incoming: boolean
  started: string
  answered?: string
  ended?: string
  outcome: string
  by?: string // who put the two through to each other
  path: string
  packets_sent: number
  packets_received: number
  loss: number
  jitter_ms: number
  rtt_ms: number
  concealed_ms: number
  mos: number
  suffered: string
  paths?: PathSpan[]
}

export type Video = 'none' | 'camera' | 'screen'

export interface Call extends CallRecord {
  state: CallState
  waiting?: boolean
  held_here?: boolean
  held_there?: boolean
  page?: boolean
  transfer?: Transfer
  video_asked?: boolean
  video_able?: boolean
  video_here?: Video
  video_there?: Video
}

/** One end of a call is handed over to somebody else. */
export interface Transfer {
  to: string
  mine?: boolean // the user hands the other one over; else it is the other way round
  state: 'none' | 'asked' | 'accepted' | 'declined' | 'failed' | 'done'
  outcome?: string
}

export type TransferTo = { user: string } | { with: string }

export interface CallSettings {
  waiting: boolean
}

export interface Attachment {
  node: string
  addr: string
  by: string
  rtt_ms: number
}

export interface NAT {
  udp: boolean | null
  port_mapping: string[] | null
  nat_name: string
  public: string[] | null
}

export interface Volunteering {
  agreed: boolean
  serving: boolean
  why: string
  reachable: boolean
  upstream_bps: number
  cpu_percent: number
  battery: boolean
  metered: boolean
  relay: Relaying
}

export interface RelayConsent {
  on: boolean
  bit_rate?: number
  daily_bytes?: number
}

export interface Relaying extends RelayConsent {
  serving: boolean
  why: string
  calls: number
  bps: number
  today_bytes: number
}

export interface Status {
  version: string
  network?: string
  user?: string
  device?: string
  node: string
  role: string
  addr: string
  public?: string
  online: boolean
  trouble?: string
  supernodes: Attachment[] | null
  nat?: NAT | null
  volunteer?: Volunteering | null
  known_supernodes: number
  clients: number
  records: number
  certificate_expires?: string
  calls: Call[] | null
  home: string
}

export type Presence = 'offline' | 'online' | 'away' | 'dnd' | 'invisible'

/** What the user says of himself. */
export interface Mine {
  presence: Presence
  mood: string
}

export interface Contact {
  user: string
  name?: string
  added?: string
  state: 'none' | 'asked' | 'asking' | 'approved' | 'blocked' | 'declined'
  message?: string
  presence: Presence
  mood?: string
}

export interface Card {
  name?: string
  city?: string
  country?: string
  language?: string
  about?: string
}

export interface CardStatus {
  card: Card | null
  withdrawn: boolean
  known: boolean
  crowded?: string[]
  trouble?: string
}

export interface Hit {
  user: string
  card: Card | null
}

export interface SearchPage {
  hits: Hit[]
  more: boolean
  partial?: boolean
}

export interface Listing {
  user: string
  online: boolean
  devices: { name: string; online: boolean; seen: string }[] | null
}

export type MessageState = 'sending' | 'stored' | 'delivered' | 'received' | 'read'

export interface Reaction {
  user: string
  emoji: string
  time: string
}

/** One line of a conversation. */
export interface Message {
  message: string
  user: string // whom the conversation is with
  author: string
  sent: string
  position: number
  kind: 'text' | 'file' | 'call' | 'voicemail' | 'notice'
  text: string
  reply_to?: string
  state: MessageState
  edited?: string
  deleted?: string
  reactions?: Reaction[]
}

export interface ConversationStatus {
  user: string
  unread: number
  last?: Message
}

/** What somebody said to a contact who did not answer. */
export interface Voicemail {
  voicemail: string
  call: string
  peer: string
  own?: boolean // the user said it; the sound is not kept
  sent: string
  seconds: number
  heard?: string
}

export type FileState = 'offered' | 'active' | 'paused' | 'done' | 'declined' | 'cancelled' | 'failed'

/** A file that was offered to somebody, or by somebody. */
export interface SharedFile {
  file: string
  peer: string
  incoming: boolean
  name: string
  size: number
  state: FileState
  told: boolean
  done: number
  flows: boolean
  path: string
  bytes_per_second: number
  paused_here: boolean
  paused_there: boolean
  why?: string
  place?: string
  offered: string
  ended?: string
}

export interface Typing {
  user: string
  on: boolean
}

export interface NodeEvent {
  time: string
  kind: string
  call?: Call
  record?: CallRecord
  contact?: Contact
  mine?: Mine
  message?: Message
  file?: SharedFile
  voicemail?: Voicemail
  typing?: Typing
  unread?: ConversationStatus
  was?: string
  text?: string
  code?: string
  phone?: boolean
}
