/**
 * Room for the first in order. Whatever fits passes a task that does not, and where nothing is interrupted, what is free in the end goes to what
 * is long and narrow: a wide task of a minute waited for days on METACENTRUM, and so did all the short ones that came after it. So the first in
 * order gets a reservation while it is surely short beside what runs (order by area with EASY backfilling: Carastan-Santos, de Camargo, Trystram
 * & Zrigui, "One can only gain by replacing EASY Backfilling", CCGrid 2019). What is free until then serves the short tasks that come meanwhile.
 *
 * To be short in the middle or in the mean is not enough. Of a class that runs for minutes or for days the next task may well be of days, and
 * wide ones of that kind then come to the room that was held: on METACENTRUM completion times were 7 % longer so.
 */
import type { ClusterView, TaskView } from '../../../scheduler/policy.ts'
import type { BurstEstimate } from './bursts.ts'
import { HeldRoom } from './held-room.ts'
import type { ExpectedEnds, Reservation } from './reservation.ts'

/** Part of all placed area that may stand idle. Half of it brings KTH a little less; METACENTRUM does not use it up. */
const SHARE = 0.02
/** Surely short is what runs no longer than the mean of what runs, each attempt weighed by its area, even if its mean is so many deviations off. */
const DEVIATIONS = 2
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
    if (!Number.isFinite(area * meanMs)) return
    this.room.earn(area)
    this.#areaSum = this.#areaSum * DECAY + area
    this.#runSum = this.#runSum * DECAY + area * meanMs
  }

  /** Room for the first in order, of which this is known and which fits nowhere now; undefined for none. */
  reserve(
    task: TaskView,
    { ln, lnError, meanMs }: BurstEstimate,
    view: ClusterView
  ): Reservation | undefined {
    const longestMs = Math.max(meanMs, Math.exp(ln + DEVIATIONS * lnError))
    return longestMs * this.#areaSum <= this.#runSum ? this.room.reserve(task, view) : undefined
  }
}
