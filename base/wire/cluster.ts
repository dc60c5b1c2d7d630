/** The cluster as a node sees it, its members, and a node's health. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import {
  CountSchema,
  LabelsSchema,
  MillisecondsSchema,
  NodeIdSchema,
  ResourcesSchema,
  TimestampSchema,
  closed,
  reference
} from './common.ts'

export const NodeViewSchema = closed(
  {
    id: NodeIdSchema,
    peerId: Type.String(),
    role: Type.Enum(['leader', 'voter', 'learner', 'none'], {
      type: 'string',
      description: 'leader | voter | learner | none (not in the configuration)'
    }),
    status: Type.Enum(['joining', 'active', 'lost', 'leaving'], { type: 'string' }),
    incarnation: CountSchema,
    open: Type.Boolean({ description: 'whether it may run attempts' }),
    url: Type.String(),
    addresses: Type.Array(Type.String()),
    zone: Type.String(),
    labels: LabelsSchema,
    executors: Type.Array(Type.String()),
    handlers: Type.Array(Type.String()),
    slots: CountSchema,
    usedSlots: CountSchema,
    resources: ResourcesSchema,
    usedResources: ResourcesSchema,
    version: Type.String(),
    joinedAt: TimestampSchema
  },
  { $id: 'Node', description: 'A member of the cluster.' }
)
export type NodeInfo = Static<typeof NodeViewSchema>

export const NodeListSchema = closed({ nodes: Type.Array(reference(NodeViewSchema)) }, { $id: 'NodeList' })
export type NodeList = Static<typeof NodeListSchema>

export const ClusterViewSchema = closed(
  {
    clusterId: Type.String(),
    node: closed(
      { id: NodeIdSchema, role: Type.String({ description: 'leader | candidate | follower | learner' }) },
      { description: 'the node that answered' }
    ),
    leader: Type.Optional(closed({ id: NodeIdSchema, url: Type.String() })),
    term: CountSchema,
    commitIndex: CountSchema,
    appliedIndex: CountSchema,
    checksum: Type.String({
      description: 'of the replicated state at `appliedIndex`; equal on all nodes at equal indexes'
    }),
    formatVersion: CountSchema,
    stateTime: TimestampSchema,
    tasks: closed(
      {
        pending: CountSchema,
        ready: CountSchema,
        placed: CountSchema,
        running: CountSchema,
        stopping: CountSchema,
        ended: CountSchema
      },
      { description: 'how many tasks are in each state; `ended` counts those not retired yet' }
    ),
    settings: closed({
      leaseMs: MillisecondsSchema,
      policy: Type.String(),
      historyTasks: CountSchema,
      historyMs: MillisecondsSchema
    }),
    nodes: Type.Array(reference(NodeViewSchema))
  },
  { $id: 'Cluster', description: 'The cluster as the answering node sees it.' }
)
export type ClusterInfo = Static<typeof ClusterViewSchema>

export const HealthSchema = closed(
  {
    ok: Type.Boolean(),
    checks: Type.Array(
      closed({ name: Type.String(), ok: Type.Boolean(), detail: Type.Optional(Type.String()) })
    )
  },
  { $id: 'Health' }
)
export type Health = Static<typeof HealthSchema>
