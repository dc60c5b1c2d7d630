/**
 * Room for the first in order. Whatever fits passes a task that does not, and where nothing is interrupted, what is free in the end goes to what
 * is long and narrow: a wide task of a minute waited for days on METACENTRUM, and so did all the short ones that came after it. So the first in
 * order gets a reservation while it is short beside what runs (order by area with EASY backfilling: Carastan-Santos, de Camargo, Trystram &
 * Zrigui, "One can only gain by replacing EASY Backfilling", CCGrid 2019). What is free until then serves the short tasks that come meanwhile.
 *
 * Long tasks get none: to hold room for hours costs more than it brings, and a task that is taken for short and is long would come to it too
 * easily.
 */
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import { HeldRoom } from './held-room.ts'
import type { ExpectedEnds, Reservation } from './reservation.ts'

/** Part of all placed area that may stand idle. On KTH half of it brings less, and more of it costs more than it brings. */
const SHARE = 0.02
/** Short is what is expected to run for at most this part of the mean run time, each attempt weighed by its area. */
const SHORT = 0.1
const DECAY = 0.998

export interface HeadRoomOptions {
  /** Part of all placed area that may stand idle for the first in order, in [0, 1]; 0 for none. Default 0.02. */
  readonly headShare?: number
}

export class HeadRoom {
  readonly room: HeldRoom
  #areaSum = 0
  #runSum = 0

  constructor(ends: ExpectedEnds, { headShare = SHARE }: HeadRoomOptions = {}) {
    this.room = new HeldRoom(ends, headShare)
  }

  /** An attempt began that is expected to run for `meanMs` and to take `area` (slot-milliseconds). */
  began(meanMs: number, area: number): void {
    this.room.earn(area)
    this.#areaSum = this.#areaSum * DECAY + area
    this.#runSum = this.#runSum * DECAY + area * meanMs
  }

  /** Room for the first in order, which is expected to run for `meanMs` and fits nowhere now; undefined for none. */
  reserve(task: TaskView, meanMs: number, view: ClusterView): Reservation | undefined {
    return meanMs * this.#areaSum <= SHORT * this.#runSum ? this.room.reserve(task, view) : undefined
  }
}
