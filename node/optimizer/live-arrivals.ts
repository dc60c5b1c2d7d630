/** When the tasks that have not ended arrived: what a replay of ended tasks leaves out (`optimizer/guard/recent.ts`). */
import { setImmediate } from 'node:timers/promises'
import type { SchedulerState } from '../../scheduler/state.ts'

/** Tasks that are looked at within one turn of the event loop: a millisecond or so. */
const AT_ONCE = 10_000

/** In state time, in no promised order. What comes or ends meanwhile may be in it or not. */
export async function liveArrivals({ tasks }: SchedulerState): Promise<Float64Array> {
  const arrivals: number[] = []
  for (const { submittedAt, spec } of tasks.values()) {
    arrivals.push(Math.max(submittedAt, spec.notBefore))
    if (arrivals.length % AT_ONCE === 0) await setImmediate()
  }
  return Float64Array.from(arrivals)
}
