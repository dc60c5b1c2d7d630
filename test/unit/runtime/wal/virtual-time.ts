/** Virtual time for one test: callbacks run in the order of their due times, with all promises settled in between. */
export interface VirtualTime {
  readonly schedule: (delayMs: number, callback: () => void) => void
  /** Runs at most `steps` callbacks; returns how many there were. */
  run(steps?: number): Promise<number>
}

export function createVirtualTime(): VirtualTime {
  const due: { readonly at: number; readonly order: number; readonly callback: () => void }[] = []
  let now = 0
  let order = 0
  return {
    schedule: (delayMs, callback) => {
      due.push({ at: now + delayMs, order: order++, callback })
    },
    run: async (steps = Infinity) => {
      await settled()
      let done = 0
      for (; done < steps; done++) {
        due.sort((a, b) => a.at - b.at || a.order - b.order)
        const next = due.shift()
        if (next === undefined) break
        now = next.at
        next.callback()
        await settled()
      }
      return done
    }
  }
}

/** Resolves when no promise is left to settle by itself: a macrotask later. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
