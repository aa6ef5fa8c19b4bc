// Links in what others wrote. Only web addresses become links, and their names are
// shown as the browser takes them: letters of other alphabets that look like Latin
// ones show as "xn--".

export interface Part {
  text: string
  href?: string
}

const address = /https?:\/\/[^\s<>"'\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/gi
const trailing = /[.,;:!?…]+$/

export function parts(text: string): Part[] {
  const list: Part[] = []
  let at = 0
  for (const found of text.matchAll(address)) {
    const typed = trim(found[0])
    const href = safe(typed)
    if (!href) continue
    if (found.index > at) list.push({ text: text.slice(at, found.index) })
    list.push({ text: shown(typed, href), href: href.href })
    at = found.index + typed.length
  }
  if (at < text.length) list.push({ text: text.slice(at) })
  return list
}

/** Without what belongs to the sentence: a full stop, the bracket around the link. */
function trim(typed: string): string {
  let s = typed.replace(trailing, '')
  while (s.endsWith(')') && s.split(')').length > s.split('(').length) s = s.slice(0, -1).replace(trailing, '')
  return s
}

/** No name and password before the host: they are there to deceive. */
function safe(typed: string): URL | null {
  try {
    const url = new URL(typed)
    return url.host && !url.username && !url.password ? url : null
  } catch {
    return null
  }
}

function shown(typed: string, url: URL): string {
  const host = typed.split('/')[2]!
  return host.toLowerCase() === url.host ? typed : typed.replace(host, url.host)
}
