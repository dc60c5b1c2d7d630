/**
 * Notices that a class behaves anew: the Page–Hinkley test (Page 1954) on residuals in units of the predicted spread, both ways.
 *
 * A class that drifts forgets faster and is left to statistics until it has been quiet for `QUIET_AFTER` completions: what the network learned
 * holds for classes that go on as they were.
 */

/** Mean residual that is tolerated, and the sum beyond it that raises the alarm, in predicted standard deviations. */
const TOLERANCE = 0.3
const THRESHOLD = 10
const LARGEST_RESIDUAL = 3
const QUIET_AFTER = 20
/** The decay of a class that drifts. */
export const DRIFT_DECAY = 0.6

interface Watch {
  up: number
  down: number
  /** Completions left in which the class counts as drifting. */
  left: number
}

export class DriftWatch {
  readonly #watches = new Map<number, Watch>()
  #drifting = 0
  #alarms = 0

  /** Classes that drift now. */
  get drifting(): number {
    return this.#drifting
  }

  /** Alarms since the beginning. */
  get alarms(): number {
    return this.#alarms
  }

  isDrifting(classKey: number): boolean {
    return (this.#watches.get(classKey)?.left ?? 0) > 0
  }

  /** An outcome of the class was `residual` predicted standard deviations from its predicted median. */
  observe(classKey: number, residual: number): void {
    let watch = this.#watches.get(classKey)
    if (watch === undefined) {
      watch = { up: 0, down: 0, left: 0 }
      this.#watches.set(classKey, watch)
    }
    const bounded = Math.max(-LARGEST_RESIDUAL, Math.min(LARGEST_RESIDUAL, residual))
    // Sums of what exceeds the tolerance, never below 0: Page's form of the test.
    watch.up = Math.max(0, watch.up + bounded - TOLERANCE)
    watch.down = Math.max(0, watch.down - bounded - TOLERANCE)
    if (watch.left > 0 && --watch.left === 0) this.#drifting--
    if (watch.up <= THRESHOLD && watch.down <= THRESHOLD) return
    this.#alarms++
    if (watch.left === 0) this.#drifting++
    watch.up = 0
    watch.down = 0
    watch.left = QUIET_AFTER
  }

  forget(classKey: number): void {
    if (this.isDrifting(classKey)) this.#drifting--
    this.#watches.delete(classKey)
  }
}
