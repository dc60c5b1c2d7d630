/**
 * What tasks should ask for, from what attempts of their name and tenant took: memory at the 95th percentile with a
 * margin, a timeout well above the 99th.
 *
 * 1. Only attempts that succeeded count. Quantiles are those of the last `KEPT` of a class, at the rank ⌈q (n + 1)⌉, so they do
 *    not promise more than the sample can show (with too few the largest value stands in, and no suggestion is made below
 *    `LEAST_SAMPLES`).
 * 2. Those that their timeout cut off, of the last `KEPT`, count as what they took at least: the timeout that cut them off, whatever
 *    others ask for. While there are more than one in a hundred of them, the 99th percentile lies beyond, and so does what is suggested.
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
  /** Attempts that their timeout ended, the earliest first: which one of all it was, and that timeout. */
  readonly cutOffs: { readonly at: number; readonly limitMs: number }[]
  /** Attempts that succeeded or were cut off. */
  seen: number
  /** What the last one asked for. */
  requestedBytes: number
  limitMs: number
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
    record.seen++
    if (isCutOff) record.cutOffs.push({ at: record.seen, limitMs: task.limitMs })
    while (record.seen - (record.cutOffs[0]?.at ?? record.seen) >= KEPT) record.cutOffs.shift()
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
      cutOffs: [],
      seen: 0,
      requestedBytes: 0,
      limitMs: 0
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
  const cutOffMs = record.cutOffs.map(({ limitMs }) => limitMs)
  const p99Ms = record.runMs.quantile(TIMEOUT_QUANTILE, cutOffMs)
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

  /** The quantile of these values and of `others`. */
  quantile(q: number, others: readonly number[] = []): number {
    const sorted = Float64Array.of(...this.#values.subarray(0, this.kept), ...others).sort()
    return sorted[Math.min(sorted.length, Math.ceil(q * (sorted.length + 1))) - 1] ?? 0
  }
}
