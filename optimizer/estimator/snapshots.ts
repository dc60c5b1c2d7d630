/**
 * What was predicted when an attempt began, until its outcome is known: learning from anything later would teach what nobody knew in time.
 *
 * Attempts of a class that begin between two changes share one snapshot. When more run than `MOST`, a sample by task number is
 * followed: it does not depend on how long they run, as any rule of eviction would.
 */
import type { TaskId } from '../../base/ids.ts'
import { binOfLn, FINE_BINS } from './bins.ts'
import type { NetworkOutput } from './forward.ts'
import { EXPERT_COUNT, WINDOW } from './rows.ts'

/** Attempts followed at once: at most about 10 kB each. */
const MOST = 1024

/** A class's prediction at one moment. */
export interface Snapshot {
  /** What the network was told. */
  readonly input: Float32Array
  /** Experts' masses, one after another. */
  readonly experts: Float32Array
  readonly masses: Float64Array
  readonly byRecord: Float64Array
  readonly output: NetworkOutput | undefined
  readonly failureProbability: number
  /** Expected peak memory at `MEMORY_QUANTILES`; empty when nothing was known. */
  readonly memoryBytes: readonly number[]
}

export class Snapshots {
  readonly #byTask = new Map<TaskId, Snapshot>()

  /** Whether an attempt that begins now is to be followed, when this many run. */
  wants(task: TaskId, running: number): boolean {
    if (this.#byTask.size >= 2 * MOST) return false
    return running <= MOST || mixed(task) < MOST / running
  }

  keep(task: TaskId, snapshot: Snapshot): void {
    this.#byTask.set(task, snapshot)
  }

  /** The task's snapshot, which is then forgotten. */
  take(task: TaskId): Snapshot | undefined {
    const snapshot = this.#byTask.get(task)
    if (snapshot !== undefined) this.#byTask.delete(task)
    return snapshot
  }
}

/** Each expert's mass near ln t, or above it when the run was censored there. */
export function likelihoods(experts: Float32Array, ln: number, censored: boolean): Float32Array {
  const result = new Float32Array(EXPERT_COUNT)
  const bin = binOfLn(ln)
  const first = censored ? bin : Math.max(0, bin - WINDOW)
  const last = censored ? FINE_BINS - 1 : Math.min(FINE_BINS - 1, bin + WINDOW)
  for (let expert = 0; expert < EXPERT_COUNT; expert++) {
    let sum = 0
    for (let each = first; each <= last; each++) sum += experts[expert * FINE_BINS + each] ?? 0
    result[expert] = sum
  }
  return result
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
