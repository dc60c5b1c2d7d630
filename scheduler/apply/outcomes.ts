/**
 * Exactly-once effects of forwarded proposals: the outcome of each is kept until its origin needs it no more, and a second
 * delivery gets the first one's outcome.
 *
 * 1. A sequence at or above the session's `lowest` was either never applied or its outcome is there. Below, the outcome
 *    was dropped and the command is refused as OUTCOME_UNKNOWN, not applied again. There are no high-water marks, so
 *    proposals may arrive in any order.
 * 2. A node has sessions for its two highest incarnations seen; anything older is OUTCOME_UNKNOWN.
 */
import type { NodeId } from '../../base/ids.ts'
import { remove, touch } from '../changes.ts'
import type { Origin } from '../commands.ts'
import type { SchedulerState } from '../state.ts'
import type { Outcome, Session } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { rejected } from './context.ts'

/** Runs a command once for its origin and tells the outcome. */
export function once(ctx: ApplyContext, origin: Origin, run: () => Outcome): void {
  const { state } = ctx
  if (!state.nodes.has(origin.node)) {
    tell(ctx, origin, rejected('NODE_NOT_FOUND', `the origin ${origin.node} is no node of the cluster`))
    return
  }
  const session = sessionOf(state, origin)
  if (session === undefined || origin.sequence < session.lowest) {
    tell(ctx, origin, rejected('OUTCOME_UNKNOWN', `sequence ${origin.sequence} is older than what is kept`))
    return
  }
  let outcome = session.outcomes.get(origin.sequence)
  if (outcome === undefined) {
    outcome = run()
    session.outcomes.set(origin.sequence, outcome)
  }
  dropBelow(session, Math.min(origin.lowestOutstanding, origin.sequence))
  // A command may remove its own origin, and then there is no session to keep.
  if (state.nodes.has(origin.node)) touch(state.changes.sessions, session)
  tell(ctx, origin, outcome)
}

function tell(ctx: ApplyContext, origin: Origin, outcome: Outcome): void {
  ctx.events.push({ type: 'outcome', origin, outcome })
}

function sessionOf(state: SchedulerState, origin: Origin): Session | undefined {
  const sessions = state.sessions.get(origin.node) ?? []
  const known = sessions.find((session) => session.incarnation === origin.incarnation)
  if (known !== undefined) return known
  const [oldest] = sessions
  if (sessions.length > 1 && oldest !== undefined && origin.incarnation < oldest.incarnation) return undefined
  const session: Session = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    node: origin.node,
    incarnation: origin.incarnation,
    lowest: 1,
    outcomes: new Map()
  }
  const kept = [...sessions, session].sort((a, b) => a.incarnation - b.incarnation)
  if (kept.length > 2) {
    const dropped = kept.shift()
    if (dropped !== undefined) remove(state.changes.sessions, dropped)
  }
  state.sessions.set(origin.node, kept)
  return session
}

function dropBelow(session: Session, lowest: number): void {
  if (lowest <= session.lowest) return
  if (lowest - session.lowest <= session.outcomes.size) {
    for (let sequence = session.lowest; sequence < lowest; sequence++) session.outcomes.delete(sequence)
  } else {
    for (const sequence of session.outcomes.keys()) if (sequence < lowest) session.outcomes.delete(sequence)
  }
  session.lowest = lowest
}

/** Drops all sessions of a node that is removed. */
export function dropSessions(state: SchedulerState, node: NodeId): void {
  for (const session of state.sessions.get(node) ?? []) remove(state.changes.sessions, session)
  state.sessions.delete(node)
}
