// What the tab says while nobody looks at it: the title, and a mark on the icon.

import { text } from './text'

const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')!
const plain = icon.href

// The drawing of icon.svg, with a mark in its corner.
const marked = (colour: string) =>
  'data:image/svg+xml,' +
  encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#b3404a"/><path d="M7 20c0-6 4-10.5 9.5-10.5 1-2.5 3-3.5 5-3.5 2.800 0 4.5 2 4.5 4.300l2.5 1.200-2.600 1.200C25.5 20 20.5 25 14 25H5l4.5-2.500C8 22 7 21 7 20z" fill="#fff"/><circle cx="24" cy="24" r="7.500" fill="${colour}" stroke="#fff" stroke-width="2.500"/></svg>`,
  )
const looks = { plain, waiting: marked('#e0a100'), ringing: marked('#1d9a5a') }

export function badge(caller: string | undefined, waiting: number, user: string | undefined): void {
  const who = user ? `${text.name}: ${user}` : text.name
  document.title = caller ? text.incoming.tab(caller) : waiting ? `(${waiting}) ${who}` : who
  const look = looks[caller ? 'ringing' : waiting ? 'waiting' : 'plain']
  if (icon.href !== look) icon.href = look
}
