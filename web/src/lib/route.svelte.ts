// Where the person is in the page: in the address, so that "back" works.

export type Place =
  | { at: 'people' }
  | { at: 'calls' }
  | { at: 'person'; user: string; from: 'people' | 'calls' }
  | { at: 'search'; words: string }
  | { at: 'network' }
  | { at: 'settings'; part?: string }

function parse(hash: string): Place {
  const [at, user] = hash.replace(/^#\/?/, '').split('/')
  switch (at) {
    case 'people':
    case 'calls':
      return user ? { at: 'person', user: decodeURIComponent(user), from: at } : { at }
    case 'search':
      return user ? { at, words: decodeURIComponent(user) } : { at: 'people' }
    case 'network':
      return { at }
    case 'settings':
      return { at, part: user }
  }
  return { at: 'people' }
}

class Route {
  place = $state<Place>(parse(location.hash))
  list = $derived(this.place.at === 'calls' || (this.place.at === 'person' && this.place.from === 'calls') ? 'calls' : 'people')

  constructor() {
    addEventListener('hashchange', () => (this.place = parse(location.hash)))
  }

  person(user: string): string {
    return `#/${this.list}/${encodeURIComponent(user)}`
  }

  search(words: string): string {
    return `#/search/${encodeURIComponent(words)}`
  }

  go(hash: string): void {
    location.hash = hash
  }
}

export const route = new Route()
