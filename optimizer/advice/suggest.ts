/**
 * What tasks should ask for, from what attempts of their name and tenant took: memory at the 95th percentile with a
 * margin, a timeout well above the 99th.
 *
 * 1. Only attempts that succeeded count. Quantiles are those of the last `KEPT` of a class, at the rank ⌈q (n + 1)⌉, so they do
 *    not promise more than the sample can show (with too few the largest value stands in, and no suggestion is made below
 *    `LEAST_SAMPLES`).
 * 2. Those that their timeout cut off say how long others would have taken at least: while there are more than one in a hundred of
 *    them, the 99th percentile lies beyond the timeout, and so does what is suggested.
 * 3. Bounded: the least recently seen classes go beyond `MOST_CLASSES`.
 */
import type { Suggestion } from '../../base/wire/forecast.ts'
import type { AttemptFeedback } from '../../scheduler/policy.ts'

const KEPT = 256
const MOST_CLASSES = 2_000
const LEAST_SAMPLES = 20
const MEMORY_MARGIN = 1.2
const TIMEOUT_QUANTILE = 0.99
const TIMEOUT_FACTOR = 3
const LEAST_TIMEOUT_MS = 1_000
const MEMORY_STEP_BYTES = 2 ** 20

interface ClassRecord {
  readonly name: string
  readonly tenant: string
  readonly runMs: Ring
  readonly peakBytes: Ring
  requestedBytes: number
  limitMs: number
  /** Attempts that their timeout ended, of the last `KEPT` or so. */
  cutOff: number
}

export class SuggestionBook {
  readonly #classes = new Map<string, ClassRecord>()

  /** Notes an attempt that is over. */
  observe({ task, end, runMs, peakMemoryBytes }: AttemptFeedback): void {
    // One that succeeded after another attempt had is as good a sample.
    const isSample = end === 'succeeded' || end === 'superseded'
    const isCutOff = !isSample && task.limitMs > 0 && runMs >= task.limitMs
    if (!isSample && !isCutOff) return
    const record = this.#recordOf(task.name, task.tenant)
    record.cutOff = record.cutOff * (1 - 1 / KEPT) + (isCutOff ? 1 : 0)
    record.requestedBytes = task.resources['memory'] ?? 0
    record.limitMs = task.limitMs
    if (!isSample) return
    record.runMs.add(runMs)
    if (peakMemoryBytes > 0) record.peakBytes.add(peakMemoryBytes)
  }

  /** Attempts of the task's name and tenant that succeeded, as far as is remembered. */
  samples({ name, tenant }: Pick<AttemptFeedback['task'], 'name' | 'tenant'>): number {
    return this.#classes.get(keyOf(name, tenant))?.runMs.count ?? 0
  }

  /** Classes with enough samples, those with the most first; only those of `name` when it is given. */
  suggestions(name: string | undefined): Suggestion[] {
    return [...this.#classes.values()]
      .filter((record) => name === undefined || record.name === name)
      .filter((record) => record.runMs.count >= LEAST_SAMPLES)
      .sort((a, b) => b.runMs.count - a.runMs.count || order(a.name, b.name) || order(a.tenant, b.tenant))
      .map(suggestionOf)
  }

  #recordOf(name: string, tenant: string): ClassRecord {
    const key = keyOf(name, tenant)
    const known = this.#classes.get(key)
    const record = known ?? {
      name,
      tenant,
      runMs: new Ring(),
      peakBytes: new Ring(),
      requestedBytes: 0,
      limitMs: 0,
      cutOff: 0
    }
    // Maps keep the order of insertion: the class that is touched moves to the end.
    this.#classes.delete(key)
    this.#classes.set(key, record)
    if (this.#classes.size > MOST_CLASSES) {
      const [oldest] = this.#classes.keys()
      if (oldest !== undefined) this.#classes.delete(oldest)
    }
    return record
  }
}

function keyOf(name: string, tenant: string): string {
  return JSON.stringify([name, tenant])
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function suggestionOf(record: ClassRecord): Suggestion {
  const isCutShort = record.cutOff > (1 - TIMEOUT_QUANTILE) * (record.runMs.kept + record.cutOff)
  const p99Ms = Math.max(record.runMs.quantile(TIMEOUT_QUANTILE), isCutShort ? record.limitMs : 0)
  const suggestedMs = Math.max(LEAST_TIMEOUT_MS, roundedUp(TIMEOUT_FACTOR * p99Ms))
  const p95Bytes = record.peakBytes.quantile(0.95)
  return {
    name: record.name,
    tenant: record.tenant,
    samples: record.runMs.count,
    timeout: { currentMs: record.limitMs, p99Ms, suggestedMs, samples: record.runMs.kept },
    ...(record.peakBytes.count < LEAST_SAMPLES
      ? {}
      : {
          memory: {
            requestedBytes: record.requestedBytes,
            p95Bytes,
            suggestedBytes: Math.ceil((p95Bytes * MEMORY_MARGIN) / MEMORY_STEP_BYTES) * MEMORY_STEP_BYTES,
            samples: record.peakBytes.kept
          }
        })
  }
}

/** To two significant digits, upwards: a suggestion is to be typed by somebody. */
function roundedUp(ms: number): number {
  let unit = 1
  while (ms / unit >= 100) unit *= 10
  return Math.ceil(ms / unit) * unit
}

/** The last `KEPT` values. */
class Ring {
  readonly #values = new Float64Array(KEPT)
  count = 0

  get kept(): number {
    return Math.min(this.count, KEPT)
  }

  add(value: number): void {
    this.#values[this.count % KEPT] = value
    this.count++
  }

  quantile(q: number): number {
    const sorted = this.#values.slice(0, this.kept).sort()
    return sorted[Math.min(sorted.length, Math.ceil(q * (sorted.length + 1))) - 1] ?? 0
  }
}
