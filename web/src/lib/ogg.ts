// Opus sound out of the WebM of a browser's recorder into Ogg, which is what voice
// mail is: the packets stay as they are. RFC 8794 (EBML), RFC 9559 (Matroska), RFC 3533
// and 7845 (Ogg). It reads what a recorder writes, one track without lacing.

const CODEC_PRIVATE = 0x63a2
const SIMPLE_BLOCK = 0xa3
const BLOCK = 0xa1
// Elements of which the content is read: segment, tracks, track, cluster, group of a block.
const INSIDE = new Set([0x18538067, 0x1654ae6b, 0xae, 0x1f43b675, 0xa0])

/** A variable-length integer of EBML, with its length marker or without; NaN where it is cut off. */
function vint(b: Uint8Array, at: number, marked: boolean): { value: number; end: number; unknown: boolean } {
  const first = b[at] ?? 0
  const length = Math.clz32(first) - 23
  if (length > 8 || at + length > b.length) return { value: NaN, end: b.length, unknown: false }
  let value = marked ? first : first & (0xff >> length)
  let unknown = (first | (0xff00 >> length)) % 256 === 0xff
  for (let i = 1; i < length; i++) {
    value = value * 256 + b[at + i]!
    unknown &&= b[at + i] === 0xff
  }
  return { value, end: at + length, unknown }
}

/** The head and the packets of the Opus track. What is cut off at the end is left out. */
function packets(webm: Uint8Array): { head: Uint8Array | undefined; list: Uint8Array[] } {
  let head: Uint8Array | undefined
  const list: Uint8Array[] = []
  for (let at = 0; at < webm.length; ) {
    const id = vint(webm, at, true)
    const size = vint(webm, id.end, false)
    if (Number.isNaN(id.value) || Number.isNaN(size.value)) break
    at = size.end
    if (INSIDE.has(id.value)) continue // whatever its size is: its content follows
    if (size.unknown || at + size.value > webm.length) break
    const content = webm.subarray(at, at + size.value)
    at += size.value
    if (id.value === CODEC_PRIVATE) head ??= content
    if (id.value !== SIMPLE_BLOCK && id.value !== BLOCK) continue
    const track = vint(content, 0, false)
    if ((content[track.end + 2] ?? 0) & 0x06) throw new Error('several packets in one block')
    list.push(content.subarray(track.end + 3))
  }
  return { head, list }
}

/** How long a packet of Opus sounds, in samples of 48 kHz (RFC 6716, 3.1). */
function samples(packet: Uint8Array): number {
  const toc = packet[0]!
  const config = toc >> 3
  const ms = config < 12 ? [10, 20, 40, 60][config & 3]! : config < 16 ? [10, 20][config & 1]! : [2.5, 5, 10, 20][config & 3]!
  const frames = [1, 2, 2, (packet[1] ?? 0) & 63][toc & 3]!
  return ms * 48 * frames
}

const table = Uint32Array.from({ length: 256 }, (_, i) => {
  let r = i << 24
  for (let bit = 0; bit < 8; bit++) r = r & 0x80000000 ? (r << 1) ^ 0x04c11db7 : r << 1
  return r
})

const SERIAL = 1 // of the only stream
const FIRST = 2
const LAST = 4

function page(number: number, flags: number, granule: number, content: Uint8Array[]): Uint8Array {
  const sizes = content.flatMap((p) => [...Array<number>(Math.floor(p.length / 255)).fill(255), p.length % 255])
  const b = new Uint8Array(27 + sizes.length + content.reduce((n, p) => n + p.length, 0))
  const view = new DataView(b.buffer)
  b.set([0x4f, 0x67, 0x67, 0x53, 0, flags]) // OggS
  view.setBigUint64(6, BigInt(granule), true)
  view.setUint32(14, SERIAL, true)
  view.setUint32(18, number, true)
  b[26] = sizes.length
  b.set(sizes, 27)
  let at = 27 + sizes.length
  for (const p of content) {
    b.set(p, at)
    at += p.length
  }
  let crc = 0
  for (const x of b) crc = (crc << 8) ^ table[((crc >>> 24) ^ x) & 0xff]!
  view.setUint32(22, crc, true)
  return b
}

/** An Ogg/Opus file of the sound of a WebM file. */
export function oggOf(webm: Uint8Array): Blob {
  const { head, list } = packets(webm)
  const sound = list.filter((p) => p.length > 0)
  if (!head || !sound.length) throw new Error('no Opus sound')
  const bytes = new TextEncoder()
  const tags = new Uint8Array([...bytes.encode('OpusTags'), 6, 0, 0, 0, ...bytes.encode('Linnet'), 0, 0, 0, 0])
  const pages = [page(0, FIRST, 0, [head]), page(1, 0, 0, [tags])]
  let granule = 0
  let waiting: Uint8Array[] = []
  let segments = 0
  const flush = (flags: number) => {
    pages.push(page(pages.length, flags, granule, waiting))
    waiting = []
    segments = 0
  }
  for (const p of sound) {
    const more = Math.floor(p.length / 255) + 1
    if (segments + more > 255 || waiting.length === 50) flush(0)
    waiting.push(p)
    segments += more
    granule += samples(p)
  }
  flush(LAST)
  return new Blob(pages as BlobPart[], { type: 'audio/ogg' })
}
