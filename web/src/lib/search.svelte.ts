// A search of the white pages. The supernodes answer 30 an hour, so what was
// found stays while the page does.

import { api, NodeError } from './api'
import type { Hit } from './types'
import { text } from './text'

export class Search {
  hits = $state<Hit[]>([])
  more = $state(false)
  partial = $state(false)
  busy = $state(false)
  trouble = $state<{ text: string; hint?: string }>()
  #page = 0

  constructor(readonly words: string) {}

  async next(): Promise<void> {
    if (this.busy) return
    this.busy = true
    this.trouble = undefined
    try {
      const found = await api.search(this.words, this.#page + 1)
      this.#page++
      this.hits.push(...found.hits.filter((h) => !this.hits.some((x) => x.user === h.user)))
      this.more = found.more
      this.partial ||= !!found.partial
    } catch (e) {
      this.trouble = e instanceof NodeError ? e.failure : { text: text.failed }
    } finally {
      this.busy = false
    }
  }

  get asked(): boolean {
    return this.#page > 0
  }
}

const searches = new Map<string, Search>()

export function search(words: string): Search {
  let s = searches.get(words)
  if (!s) searches.set(words, (s = new Search(words)))
  return s
}
