// That a copy of the keys and contacts is to be made, now and then: this browser
// remembers when that was said.

const KEY = 'linnet-backup'
const DAY = 86_400_000
const first = 3 * DAY // of a node, without a word
const every = 90 * DAY
const later = 7 * DAY

interface Kept {
  begun: number
  last?: number
  later?: number
}

class Reminder {
  #kept = $state<Kept>(JSON.parse(localStorage.getItem(KEY) ?? 'null') ?? { begun: Date.now() })

  constructor() {
    this.#keep()
  }

  due = $derived.by(() => {
    const { begun, last, later: put } = this.#kept
    const now = Date.now()
    return now > (last ? last + every : begun + first) && now > (put ?? 0) + later
  })

  get last(): string | undefined {
    return this.#kept.last ? new Date(this.#kept.last).toISOString() : undefined
  }

  done(): void {
    this.#kept.last = Date.now()
    this.#keep()
  }

  later(): void {
    this.#kept.later = Date.now()
    this.#keep()
  }

  #keep(): void {
    localStorage.setItem(KEY, JSON.stringify(this.#kept))
  }
}

export const reminder = new Reminder()
