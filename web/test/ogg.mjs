// What the page makes of a recording in WebM: the same packets, in an Ogg file that is
// whole. The packets are those of the sample of speech.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { transformWithOxc } from 'vite'

const here = path.dirname(new URL(import.meta.url).pathname)
const source = path.join(here, '../src/lib/ogg.ts')
const { code } = await transformWithOxc(readFileSync(source, 'utf8'), source)
const { oggOf } = await import(`data:text/javascript,${encodeURIComponent(code)}`)

function check(ok, what) {
  if (!ok) throw new Error(what)
}

/** The checksum of a page, bit by bit. */
function checksum(bytes) {
  let r = 0
  for (const b of bytes) for (let i = 7; i >= 0; i--) r = ((r << 1) ^ (((r >>> 31) ^ (b >> i)) & 1 ? 0x04c11db7 : 0)) >>> 0
  return r
}

/** The pages of an Ogg file, each checked, and all of its packets. */
function read(ogg) {
  const packets = []
  const pages = []
  let open = Buffer.alloc(0)
  for (let at = 0; at < ogg.length; ) {
    check(ogg.toString('latin1', at, at + 4) === 'OggS', `no page at ${at}`)
    const sizes = [...ogg.subarray(at + 27, at + 27 + ogg[at + 26])]
    const end = at + 27 + sizes.length + sizes.reduce((a, b) => a + b, 0)
    check(end <= ogg.length, 'the last page is cut off')
    const whole = Buffer.from(ogg.subarray(at, end))
    const sum = whole.readUInt32LE(22)
    whole.writeUInt32LE(0, 22)
    check(checksum(whole) === sum, `the checksum of the page at ${at}`)
    pages.push({ flags: ogg[at + 5], granule: Number(ogg.readBigUInt64LE(at + 6)), number: ogg.readUInt32LE(at + 18) })
    let from = at + 27 + sizes.length
    for (const n of sizes) {
      open = Buffer.concat([open, ogg.subarray(from, from + n)])
      from += n
      if (n === 255) continue
      packets.push(open)
      open = Buffer.alloc(0)
    }
    at = end
  }
  return { packets, pages }
}

// A WebM file as recorders write it.
const id = (n) => Buffer.from(n.toString(16).padStart(n.toString(16).length + (n.toString(16).length % 2), '0'), 'hex')
const sized = (n) => (n < 127 ? Buffer.from([0x80 | n]) : Buffer.from([0x10 | (n >> 24), (n >> 16) & 255, (n >> 8) & 255, n & 255]))
const unknown = Buffer.from([0x01, 255, 255, 255, 255, 255, 255, 255])
const element = (n, content) => Buffer.concat([id(n), sized(content.length), content])
const endless = (n, ...content) => Buffer.concat([id(n), unknown, ...content])
const block = (packet, flags = 0x80) => element(0xa3, Buffer.concat([Buffer.from([0x81, 0, 0, flags]), packet]))
const header = element(0x1a45dfa3, element(0x4282, Buffer.from('webm')))
const track = (head) => element(0x1654ae6b, element(0xae, Buffer.concat([element(0x86, Buffer.from('A_OPUS')), element(0x63a2, head), element(0xe1, Buffer.alloc(4))])))
const bytes = async (blob) => Buffer.from(await blob.arrayBuffer())

const speech = read(readFileSync(path.join(here, '../../media/sample/speech.ogg')))
const [head, , ...sound] = speech.packets
const long = Buffer.concat([sound[0], Buffer.alloc(600, 7)]) // of several segments
sound.push(long, Buffer.concat([sound[0], Buffer.alloc(510 - sound[0].length, 7)])) // the last one of whole segments
const clusters = []
for (let i = 0; i < sound.length; i += 40) clusters.push(sound.slice(i, i + 40).map((p) => block(p)))

for (const [name, webm] of [
  ['live', Buffer.concat([header, endless(0x18538067, track(head), ...clusters.map((c) => endless(0x1f43b675, element(0xe7, Buffer.from([1])), ...c)))])],
  ['whole', Buffer.concat([header, element(0x18538067, Buffer.concat([track(head), ...clusters.map((c) => element(0x1f43b675, Buffer.concat(c)))]))])],
  ['cut off', Buffer.concat([header, endless(0x18538067, track(head), ...clusters.map((c) => endless(0x1f43b675, ...c)), block(sound[0]).subarray(0, 9))])],
]) {
  const { packets, pages } = read(await bytes(oggOf(webm)))
  check(packets[0].equals(head) && packets[1].toString().startsWith('OpusTags'), `${name}: the headers`)
  check(packets.length === sound.length + 2 && sound.every((p, i) => packets[i + 2].equals(p)), `${name}: the packets`)
  check(pages.every((p, i) => p.number === i) && pages[0].flags === 2 && pages.at(-1).flags === 4, `${name}: the pages`)
  const length = (sound.length - 2) * 960 // 20 ms each
  check(pages.at(-1).granule === length + 2 * 960, `${name}: it sounds ${pages.at(-1).granule} samples`)
}

// What is no recording is refused, and nothing goes on for ever.
const refused = (b) => {
  try {
    oggOf(b)
    return false
  } catch {
    return true
  }
}
check(refused(Buffer.alloc(0)) && refused(Buffer.alloc(1000)) && refused(Buffer.alloc(1000, 255)) && refused(header), 'it makes something of nothing')
check(refused(Buffer.concat([header, endless(0x18538067, track(head), endless(0x1f43b675, block(sound[0], 0x02)))])), 'it takes lacing')
console.log('         recordings in WebM become Ogg')
