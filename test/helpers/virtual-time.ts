/** Virtual time for tests of simulated adapters: callbacks in the order of their time, then of their scheduling. */
export interface VirtualTime {
  now(): number
  readonly schedule: (delayMs: number, callback: () => void) => void
  /** Runs the next callback; false when there is none. */
  step(): boolean
  /** Runs callbacks, and the promises they settle, until `condition` holds. Throws when nothing is left to run. */
  readonly until: (condition: () => boolean) => Promise<void>
  /** Lets this much time pass. */
  advance(ms: number): Promise<void>
}

export function createVirtualTime(): VirtualTime {
  let now = 0
  let sequence = 0
  const events: { at: number; order: number; callback: () => void }[] = []
  const step = (): boolean => {
    events.sort((a, b) => a.at - b.at || a.order - b.order)
    const event = events.shift()
    if (event === undefined) return false
    now = event.at
    event.callback()
    return true
  }
  const settle = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve)
    })
  const time: VirtualTime = {
    now: () => now,
    schedule: (delayMs, callback) => {
      events.push({ at: now + delayMs, order: sequence++, callback })
    },
    step,
    until: async (condition) => {
      await settle()
      while (!condition()) {
        if (!step()) throw new Error('nothing is left to happen')
        await settle()
      }
    },
    advance: async (ms) => {
      let passed = false
      time.schedule(ms, () => {
        passed = true
      })
      await time.until(() => passed)
    }
  }
  return time
}
