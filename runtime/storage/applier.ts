/**
 * Applies committed entries to the replicated state, one at a time, and says what each did.
 *
 * Owns which state is the live one. Knows the three kinds of entry: commands, membership changes, and the empty entry
 * with which a leader begins its term.
 */
import { decodeConfChange, type ConfChange, type ConfState, type Entry } from '../../consensus/index.ts'
import { nodeId } from '../../base/ids.ts'
import { applyBatch } from '../../scheduler/apply/index.ts'
import { decodeBatch } from '../../scheduler/codec.ts'
import type { SchedulerEvent } from '../../scheduler/events.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Logger } from '../ports/log.ts'
import type { Compactor } from './compactor.ts'
import type { Materializer } from './materializer.ts'

export interface ApplierInput {
  readonly state: SchedulerState
  readonly materializer: Materializer
  readonly compactor: Compactor
  readonly logger: Logger
  readonly applyConfChange: (change: ConfChange) => ConfState
  readonly onApplied: (entry: Entry, events: readonly SchedulerEvent[]) => void
}

const NO_EVENTS: readonly SchedulerEvent[] = []
/** What a refused change becomes: a step that names nobody changes nothing. */
const NO_CHANGE: ConfChange = {
  version: 2,
  transition: 'auto',
  changes: [{ type: 'add-node', nodeId: 0 }],
  context: new Uint8Array(0)
}

export class Applier {
  readonly #input: ApplierInput
  #state: SchedulerState

  constructor(input: ApplierInput) {
    this.#input = input
    this.#state = input.state
  }

  get state(): SchedulerState {
    return this.#state
  }

  replace(state: SchedulerState): void {
    this.#state = state
  }

  apply(entry: Entry): void {
    const { materializer } = this.#input
    let { confState } = materializer.position
    let events = NO_EVENTS
    if (entry.type !== 'normal') {
      confState = this.#changeMembership(entry)
    } else if (entry.data.length > 0) {
      const heard: SchedulerEvent[] = []
      applyBatch(this.#state, decodeBatch(entry.data), heard)
      events = heard
    }
    materializer.applied({ index: entry.index, term: entry.term, confState }, entry.data.length)
    this.#input.onApplied(entry, events)
  }

  #changeMembership(entry: Entry): ConfState {
    const change = decodeConfChange(entry)
    const refusal = this.#refusal(change)
    if (refusal !== undefined)
      this.#input.logger.warn({ index: entry.index, refusal }, 'membership change refused')
    const confState = this.#input.applyConfChange(refusal === undefined ? change : NO_CHANGE)
    this.#input.logger.info({ index: entry.index, confState }, 'membership changed')
    this.#input.compactor.membership(entry.index, confState)
    return confState
  }

  /** A node whose incarnation is open may still run attempts: taking it out would orphan them. */
  #refusal(change: ConfChange): string | undefined {
    const steps = change.version === 1 ? [change] : change.changes
    for (const step of steps) {
      if (step.type !== 'remove-node') continue
      const node = this.#state.nodes.get(nodeId(step.nodeId))
      if (node?.open === true) return `node ${step.nodeId} has an open incarnation`
    }
    return undefined
  }
}
