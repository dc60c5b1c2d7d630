/**
 * Members of the cluster: numbers, announcements, incarnations and their end, leaving.
 *
 * 1. A node has at most one open incarnation; its number only rises, and one that ended never opens again.
 * 2. When an incarnation ends its attempts end as lost, at most LIMITS.batchTasks a command. The rest keep their slots and
 *    are ended by further `end-incarnation` commands; they come before any newer attempt in `node.placements`.
 * 3. A number is never used again, and a node with an open incarnation or live attempts cannot be removed.
 */
import type { Incarnation, NodeId } from '../../base/ids.ts'
import { incarnation, nodeId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import type { DurationMs } from '../../base/units.ts'
import { placementOn, taskOfAttempts } from '../attempts.ts'
import { remove, touch } from '../changes.ts'
import type {
  AnnounceCommand,
  EndIncarnationCommand,
  LeaveCommand,
  RegisterNodeCommand,
  RemoveNodeCommand
} from '../commands.ts'
import { checkOffer } from '../spec-rules.ts'
import type { ClusterNode, NodeOffer, Outcome } from '../types.ts'
import { applyReport, loseAttempt } from './completion.ts'
import type { ApplyContext } from './context.ts'
import { DONE, refuse, rejected } from './context.ts'
import { dropSessions } from './outcomes.ts'

export function applyRegister(ctx: ApplyContext, command: RegisterNodeCommand): void {
  const { state } = ctx
  if (state.peers.has(command.peerId)) return
  if (state.nodes.size >= LIMITS.nodes) {
    refuse(ctx, command.type, undefined, 'LIMIT_EXCEEDED', `the cluster has ${LIMITS.nodes} nodes already`)
    return
  }
  const node: ClusterNode = {
    rowFlags: 0,
    hashA: 0,
    hashB: 0,
    id: state.nextNodeId,
    peerId: command.peerId,
    status: 'joining',
    incarnation: incarnation(0),
    open: false,
    offer: emptyOffer(command),
    joinedAt: state.time,
    placements: new Set(),
    used: {}
  }
  state.nextNodeId = nodeId(node.id + 1)
  state.nodes.set(node.id, node)
  state.peers.set(node.peerId, node.id)
  changed(ctx, node)
}

function emptyOffer({ addresses, zone }: RegisterNodeCommand): NodeOffer {
  return {
    executors: [],
    handlers: {},
    labels: {},
    zone,
    slots: 0,
    resources: {},
    url: '',
    addresses,
    version: ''
  }
}

function changed(ctx: ApplyContext, node: ClusterNode): void {
  touch(ctx.state.changes.nodes, node)
  ctx.events.push({ type: 'node-changed', node: node.id })
}

export function applyAnnounce(ctx: ApplyContext, command: AnnounceCommand): void {
  const { state } = ctx
  const node = state.nodes.get(command.node)
  const refusal = announceRefusal(node, command)
  if (node === undefined || refusal !== undefined) {
    refuse(ctx, command.type, command.node, ...(refusal ?? (['NODE_NOT_FOUND', 'unknown node'] as const)))
    return
  }
  for (const report of command.outbox) applyReport(ctx, report, command.retryDelayMs)
  node.offer = command.offer
  if (command.incarnation > node.incarnation) {
    if (node.open) close(ctx, node)
    endAttempts(ctx, node, node.incarnation, command.retryDelayMs)
    node.incarnation = command.incarnation
    node.open = true
    node.status = 'active'
    ctx.events.push({ type: 'incarnation-opened', node: node.id, incarnation: node.incarnation })
  }
  changed(ctx, node)
}

function announceRefusal(
  node: ClusterNode | undefined,
  command: AnnounceCommand
): readonly ['NODE_NOT_FOUND' | 'STALE_INCARNATION' | 'NODE_LEAVING' | 'LIMIT_EXCEEDED', string] | undefined {
  if (node === undefined) return ['NODE_NOT_FOUND', `there is no node ${command.node}`]
  const current = node.incarnation
  if (command.incarnation < current || (command.incarnation === current && !node.open)) {
    return ['STALE_INCARNATION', `got incarnation ${command.incarnation} after ${current}`]
  }
  if (node.status === 'leaving' && command.incarnation > current) {
    return ['NODE_LEAVING', `node ${node.id} is leaving`]
  }
  if (command.outbox.length > LIMITS.batchTasks) {
    return ['LIMIT_EXCEEDED', `outbox: got ${command.outbox.length}, expected at most ${LIMITS.batchTasks}`]
  }
  const wrong = checkOffer(command.offer)
  if (wrong === undefined) return undefined
  return ['LIMIT_EXCEEDED', `offer.${wrong.field}: got ${wrong.got}, expected ${wrong.expected}`]
}

export function applyEndIncarnation(ctx: ApplyContext, command: EndIncarnationCommand): void {
  const node = ctx.state.nodes.get(command.node)
  if (node === undefined) {
    refuse(ctx, command.type, command.node, 'NODE_NOT_FOUND', `there is no node ${command.node}`)
    return
  }
  if (command.incarnation > node.incarnation) {
    const message = `got incarnation ${command.incarnation}, the last one is ${node.incarnation}`
    refuse(ctx, command.type, command.node, 'STALE_INCARNATION', message)
    return
  }
  if (command.incarnation === node.incarnation && node.open) {
    if (node.status === 'active') node.status = 'lost'
    close(ctx, node)
    changed(ctx, node)
  }
  endAttempts(ctx, node, command.incarnation, command.retryDelayMs)
}

function close(ctx: ApplyContext, node: ClusterNode): void {
  node.open = false
  ctx.events.push({ type: 'incarnation-ended', node: node.id, incarnation: node.incarnation })
}

/** Loses attempts of incarnations up to `last`, within the budget. */
function endAttempts(
  ctx: ApplyContext,
  node: ClusterNode,
  last: Incarnation,
  retryDelayMs: DurationMs
): void {
  for (const id of node.placements) {
    if (ctx.budget <= 0) return
    const task = taskOfAttempts(ctx.state, id)
    const placement = placementOn(task, node.id)
    if (task === undefined || placement === undefined) continue
    if (placement.incarnation > last) return
    ctx.budget--
    loseAttempt(ctx, task, placement, retryDelayMs)
  }
}

export function applyLeave(ctx: ApplyContext, command: LeaveCommand): Outcome {
  const node = ctx.state.nodes.get(command.node)
  if (node === undefined) return noSuchNode(command.node)
  if (node.status !== 'leaving') {
    node.status = 'leaving'
    changed(ctx, node)
  }
  return DONE
}

export function applyRemove(ctx: ApplyContext, command: RemoveNodeCommand): Outcome {
  const { state } = ctx
  const node = state.nodes.get(command.node)
  if (node === undefined) return noSuchNode(command.node)
  if (node.open || node.placements.size > 0) {
    return rejected('NODE_HAS_INCARNATION', `node ${node.id} has an open incarnation or live attempts`)
  }
  if (node.status !== 'leaving') {
    return rejected('INVALID_REQUEST', `node ${node.id} is ${node.status}, expected leaving`)
  }
  state.nodes.delete(node.id)
  state.peers.delete(node.peerId)
  dropSessions(state, node.id)
  remove(state.changes.nodes, node)
  ctx.events.push({ type: 'node-changed', node: node.id })
  return DONE
}

function noSuchNode(node: NodeId): Outcome {
  return rejected('NODE_NOT_FOUND', `there is no node ${node}`)
}
