/**
 * Which membership change a leader should propose next: one at a time, small, and only when it cannot hurt.
 *
 * A1. Every registered node becomes a learner, and a learner a voter only when it has caught up.
 * A2. 1/2/3/3/5 voters for 1/2/3/4/≥ 5 nodes. The number of voters is never lowered, but for a node that leaves.
 * A3. A dead voter is exchanged for a caught-up learner in one joint change, so the quorum never shrinks meanwhile.
 * A4. Among candidates, one in a zone with the fewest voters comes first, then the lowest number.
 * A5. A node that leaves is taken out only when its incarnation is over.
 */
import { nodeId, type NodeId } from '../../base/ids.ts'
import type { ConfChangeSingle, ConfChangeV2, RaftStatus } from '../../consensus/index.ts'
import type { ClusterNode } from '../../scheduler/types.ts'

export interface AutopilotView {
  readonly nodes: ReadonlyMap<NodeId, ClusterNode>
  readonly raft: RaftStatus
  readonly committed: number
  /** Whether the leader has given the node up: no lease for a good while. */
  readonly isDead: (node: ClusterNode) => boolean
}

/** A learner has caught up when it is at most this many entries behind. */
const CAUGHT_UP_ENTRIES = 1_000

/** The next change, or undefined when the membership is as it should be (or a change is under way). */
export function nextConfChange(view: AutopilotView): ConfChangeV2 | undefined {
  const { confState } = view.raft
  if (confState.votersOutgoing.length > 0) return undefined
  return removal(view) ?? admission(view) ?? promotion(view) ?? exchange(view)
}

/** Voters that a cluster of so many nodes should have. */
export function wantedVoters(nodes: number): number {
  if (nodes >= 5) return 5
  return Math.min(nodes, 3)
}

function removal(view: AutopilotView): ConfChangeV2 | undefined {
  for (const id of members(view)) {
    const node = view.nodes.get(nodeId(id))
    const gone = node === undefined
    const left = node?.status === 'leaving' && !node.open && node.placements.size === 0
    if (!gone && !left) continue
    if (view.raft.confState.voters.length === 1 && isVoter(view, id)) continue
    return change([{ type: 'remove-node', nodeId: id }])
  }
  return undefined
}

function admission(view: AutopilotView): ConfChangeV2 | undefined {
  const known = new Set(members(view))
  for (const [id, node] of view.nodes) {
    if (known.has(id) || node.status === 'leaving') continue
    return change([{ type: 'add-learner-node', nodeId: id }])
  }
  return undefined
}

function promotion(view: AutopilotView): ConfChangeV2 | undefined {
  const { voters, learners } = view.raft.confState
  const present = [...voters, ...learners].filter((id) => isStaying(view, id)).length
  if (voters.length >= wantedVoters(present)) return undefined
  const candidate = bestCandidate(view)
  return candidate === undefined ? undefined : change([{ type: 'add-node', nodeId: candidate }])
}

function exchange(view: AutopilotView): ConfChangeV2 | undefined {
  const dead = view.raft.confState.voters.find((id) => {
    const node = view.nodes.get(nodeId(id))
    return id !== view.raft.id && node !== undefined && view.isDead(node)
  })
  if (dead === undefined) return undefined
  const candidate = bestCandidate(view)
  if (candidate === undefined) return undefined
  return change([
    { type: 'add-node', nodeId: candidate },
    { type: 'add-learner-node', nodeId: dead }
  ])
}

function bestCandidate(view: AutopilotView): number | undefined {
  const votersByZone = new Map<string, number>()
  for (const id of view.raft.confState.voters) {
    const zone = zoneOf(view, id)
    votersByZone.set(zone, (votersByZone.get(zone) ?? 0) + 1)
  }
  let best: number | undefined
  let fewest = Infinity
  for (const progress of view.raft.progress) {
    if (!progress.isLearner || !progress.recentActive) continue
    if (progress.state !== 'replicate' || progress.match + CAUGHT_UP_ENTRIES < view.committed) continue
    const node = view.nodes.get(nodeId(progress.id))
    // Only a node that has announced itself has shown that it can serve.
    if (node === undefined || !node.open || node.status === 'leaving' || view.isDead(node)) continue
    const inZone = votersByZone.get(zoneOf(view, progress.id)) ?? 0
    if (inZone < fewest) {
      fewest = inZone
      best = progress.id
    }
  }
  return best
}

function members(view: AutopilotView): number[] {
  const { voters, learners } = view.raft.confState
  return [...voters, ...learners].sort((a, b) => a - b)
}

function isVoter(view: AutopilotView, id: number): boolean {
  return view.raft.confState.voters.includes(id)
}

function isStaying(view: AutopilotView, id: number): boolean {
  const status = view.nodes.get(nodeId(id))?.status
  return status !== undefined && status !== 'leaving'
}

function zoneOf(view: AutopilotView, id: number): string {
  return view.nodes.get(nodeId(id))?.offer.zone ?? ''
}

const NO_CONTEXT = new Uint8Array(0)

function change(changes: readonly ConfChangeSingle[]): ConfChangeV2 {
  return { version: 2, transition: 'auto', changes, context: NO_CONTEXT }
}
