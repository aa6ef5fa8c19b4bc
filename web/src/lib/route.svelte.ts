// Where the person is in the page: in the address, so that "back" works.

export type List = 'chats' | 'people' | 'calls'

export type Place =
  | { at: List }
  | { at: 'person'; user: string; from: List; message?: string }
  | { at: 'search'; words: string }
  | { at: 'network' }
  | { at: 'settings'; part?: string }

function parse(hash: string): Place {
  const [at, first, second] = hash.replace(/^#\/?/, '').split('/')
  switch (at) {
    case 'chats':
    case 'people':
    case 'calls':
      return first ? { at: 'person', user: decodeURIComponent(first), from: at, message: second } : { at }
    case 'search':
      return first ? { at, words: decodeURIComponent(first) } : { at: 'people' }
    case 'network':
      return { at }
    case 'settings':
      return { at, part: first }
  }
  return { at: 'chats' }
}

class Route {
  place = $state<Place>(parse(location.hash))
  list = $state<List>('chats') // the one that was looked at last

  constructor() {
    this.#follow()
    addEventListener('hashchange', () => this.#follow())
  }

  #follow(): void {
    const p = parse(location.hash)
    this.place = p
    if (p.at === 'person') this.list = p.from
    else if (p.at === 'chats' || p.at === 'people' || p.at === 'calls') this.list = p.at
  }

  person(user: string, message?: string): string {
    return `#/${this.list}/${encodeURIComponent(user)}${message ? `/${message}` : ''}`
  }

  search(words: string): string {
    return `#/search/${encodeURIComponent(words)}`
  }

  go(hash: string): void {
    location.hash = hash
  }
}

export const route = new Route()
