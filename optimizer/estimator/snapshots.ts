/**
 * What was predicted when an attempt began, until its outcome is known: learning from anything later would teach what nobody knew in time.
 *
 * Attempts of a class that begin between two changes share one snapshot. When more run than `MOST`, a sample by task number is
 * followed: it does not depend on how long they run, as any rule of eviction would.
 */
import type { TaskId } from '../../base/ids.ts'
import { binOfLn, FINE_BINS } from './bins.ts'
import type { NetworkOutput } from './forward.ts'
import { LEAST } from './experts.ts'
import { MEDIANS } from './medians.ts'
import type { ModelTrust } from './model-trust.ts'
import { EXPERT_COUNT, INPUT_COUNT, WINDOW } from './rows.ts'
import { GUESS } from './statistics.ts'

/** Attempts followed at once: at most about 10 kB each. */
const MOST = 1024
/** Snapshots that wait to be used again: when a burst ends, many are given back at once, and the next burst takes as many. */
const MOST_FREE = 256

/** A class's prediction at one moment. */
export interface Snapshot {
  /** What the network was told. */
  readonly input: Float32Array
  /** Experts' masses, one after another, before the limit cuts them in `lastBin`. */
  readonly experts: Float32Array
  lastBin: number
  readonly masses: Float64Array
  readonly byRecord: Float64Array
  /** In the order of `MEDIANS`. */
  readonly medians: Float64Array
  output: NetworkOutput | undefined
  failureProbability: number
  /** The same by the statistics alone. */
  failureByStatistics: number
  /** Peak memory at `MEMORY_QUANTILES` by the statistics, for rows and the trust; empty when nothing was known or neither asks. */
  memoryBytes: readonly number[]
  /** That of the model whose output this is. */
  trust: ModelTrust | undefined
  /** Who still needs it: attempts, and its class. At 0 its arrays are used again. */
  holders: number
}

export class Snapshots {
  readonly #byTask = new Map<TaskId, Snapshot>()
  readonly #free: Snapshot[] = []

  /** Whether an attempt that begins now is to be followed, when this many run. */
  wants(task: TaskId, running: number): boolean {
    if (this.#byTask.size >= 2 * MOST) return false
    return running <= MOST || mixed(task) < MOST / running
  }

  /** A snapshot to fill in, held by the caller. Its arrays hold anything. */
  blank(): Snapshot {
    const snapshot = this.#free.pop() ?? fresh()
    snapshot.holders = 1
    return snapshot
  }

  keep(task: TaskId, snapshot: Snapshot): void {
    this.release(this.#byTask.get(task))
    this.#byTask.set(task, snapshot)
    snapshot.holders++
  }

  /** The task's snapshot, which the caller then holds instead. */
  take(task: TaskId): Snapshot | undefined {
    const snapshot = this.#byTask.get(task)
    if (snapshot !== undefined) this.#byTask.delete(task)
    return snapshot
  }

  /** A holder has no need of it any more. */
  release(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined || --snapshot.holders > 0) return
    if (this.#free.length < MOST_FREE) this.#free.push(snapshot)
  }
}

function fresh(): Snapshot {
  return {
    input: new Float32Array(INPUT_COUNT),
    experts: new Float32Array(EXPERT_COUNT * FINE_BINS),
    lastBin: FINE_BINS - 1,
    masses: new Float64Array(FINE_BINS),
    byRecord: new Float64Array(EXPERT_COUNT),
    medians: new Float64Array(MEDIANS.length),
    output: undefined,
    failureProbability: 0,
    failureByStatistics: 0,
    memoryBytes: [],
    trust: undefined,
    holders: 0
  }
}

/** Each expert's mass near ln t, or above it when the run was censored there, into `into`. */
export function likelihoods(
  { experts, lastBin }: Snapshot,
  ln: number,
  censored: boolean,
  into: Float32Array
): void {
  const bin = binOfLn(ln)
  const first = censored ? bin : Math.max(0, bin - WINDOW)
  const last = censored ? FINE_BINS - 1 : Math.min(FINE_BINS - 1, bin + WINDOW)
  const least = LEAST * massOf(GUESS, 0, first, last)
  // What is beyond the limit stands in the limit's own bin.
  const end = last >= lastBin ? FINE_BINS - 1 : last
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    into[expert] =
      least + (first > lastBin ? 0 : (1 - LEAST) * massOf(experts, expert * FINE_BINS, first, end))
  }
}

function massOf(masses: Float64Array | Float32Array, from: number, first: number, last: number): number {
  let sum = 0
  for (let bin = from + first; bin <= from + last; bin++) sum += masses[bin] ?? 0
  return sum
}

/** The mass near ln t. */
export function windowMass(masses: Float64Array, ln: number): number {
  const bin = binOfLn(ln)
  let sum = 0
  for (let each = bin - WINDOW; each <= bin + WINDOW; each++) sum += masses[each] ?? 0
  return sum
}

/** A number in [0, 1) that looks random but belongs to the task (Stafford's mix, as in splitmix). */
function mixed(task: number): number {
  let code = Math.imul((task >>> 0) ^ ((task / 0x1_0000_0000) >>> 0), 0x9e3779b9)
  code = Math.imul(code ^ (code >>> 16), 0x21f0aaad)
  code = Math.imul(code ^ (code >>> 15), 0x735a2d97)
  return ((code ^ (code >>> 15)) >>> 0) / 0x1_0000_0000
}
