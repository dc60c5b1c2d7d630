/** What `/v1/cluster` and `/v1/nodes` show of a node's runtime. */
import type { ClusterInfo, NodeInfo } from '../../base/wire/cluster.ts'
import type { NodeRuntime } from '../../runtime/node-runtime.ts'
import { RECORD_VERSION } from '../../scheduler/record-version.ts'
import type { ClusterNode, LiveStatus } from '../../scheduler/types.ts'

export async function clusterInfo(runtime: NodeRuntime, clusterId: string): Promise<ClusterInfo> {
  const { index, checksum } = await runtime.checksum()
  const { state } = runtime
  const raft = runtime.raftStatus()
  const { leaseMs, policy, historyTasks, historyMs } = state.settings
  const leader = runtime.leader
  const leaderUrl = leader === undefined ? undefined : state.nodes.get(leader)?.offer.url
  return {
    clusterId,
    node: { id: runtime.nodeId, role: raft.confState.learners.includes(raft.id) ? 'learner' : raft.role },
    ...(leader === undefined ? {} : { leader: { id: leader, url: leaderUrl ?? '' } }),
    term: raft.hardState.term,
    commitIndex: runtime.committed,
    appliedIndex: index,
    checksum,
    formatVersion: RECORD_VERSION,
    stateTime: state.time,
    tasks: { ...countLive(runtime), ended: state.tombstones.size },
    settings: { leaseMs, policy, historyTasks, historyMs },
    nodes: nodeInfos(runtime)
  }
}

export function nodeInfos(runtime: NodeRuntime): NodeInfo[] {
  return [...runtime.state.nodes.values()].map((node) => nodeInfo(runtime, node))
}

function nodeInfo(runtime: NodeRuntime, node: ClusterNode): NodeInfo {
  const { offer } = node
  return {
    id: node.id,
    peerId: node.peerId,
    role: roleOf(runtime, node),
    status: node.status,
    incarnation: node.incarnation,
    open: node.open,
    url: offer.url,
    addresses: [...offer.addresses],
    zone: offer.zone,
    labels: { ...offer.labels },
    executors: [...offer.executors],
    handlers: Object.keys(offer.handlers).sort(),
    slots: offer.slots,
    usedSlots: node.placements.size,
    resources: { ...offer.resources },
    usedResources: { ...node.used },
    version: offer.version,
    joinedAt: node.joinedAt
  }
}

function roleOf(runtime: NodeRuntime, node: ClusterNode): NodeInfo['role'] {
  const { confState } = runtime.raftStatus()
  if (node.id === runtime.leader) return 'leader'
  if (confState.voters.includes(node.id)) return 'voter'
  return confState.learners.includes(node.id) ? 'learner' : 'none'
}

function countLive(runtime: NodeRuntime): Record<LiveStatus, number> {
  const counts: Record<LiveStatus, number> = { pending: 0, ready: 0, placed: 0, running: 0, stopping: 0 }
  for (const task of runtime.state.tasks.values()) counts[task.status] += 1
  return counts
}
