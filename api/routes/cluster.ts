/** The cluster and its members. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../base/errors.ts'
import { ClusterViewSchema, NodeListSchema, NodeViewSchema } from '../../base/wire/cluster.ts'
import type { ClusterInfo, NodeInfo, NodeList } from '../../base/wire/cluster.ts'
import { closed } from '../../base/wire/common.ts'
import { settle } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import { readQuery, replies } from '../schemas.ts'
import { shown } from '../validation.ts'

/** Registers the routes. */
export function clusterRoutes(app: FastifyInstance, { port }: RouteContext): void {
  app.get<{ Querystring: ReadQuery }>(
    '/v1/cluster',
    {
      schema: {
        tags: ['cluster'],
        operationId: 'getCluster',
        summary: 'The cluster as this node sees it',
        description: 'Answers without a leader too, when asked with `consistency=stale`.',
        querystring: readQuery,
        response: replies(200, 'the cluster', ClusterViewSchema)
      }
    },
    async ({ query }): Promise<ClusterInfo> => {
      await settle(port, query)
      return port.cluster()
    }
  )
  app.get<{ Querystring: ReadQuery }>(
    '/v1/nodes',
    {
      schema: {
        tags: ['cluster'],
        operationId: 'listNodes',
        summary: 'The members of the cluster',
        querystring: readQuery,
        response: replies(200, 'all members, by number', NodeListSchema)
      }
    },
    async ({ query }): Promise<NodeList> => {
      await settle(port, query)
      return { nodes: [...(await port.nodes())] }
    }
  )
  app.get<{ Querystring: ReadQuery; Params: { readonly id: string } }>(
    '/v1/nodes/:id',
    {
      schema: {
        tags: ['cluster'],
        operationId: 'getNode',
        summary: 'One member of the cluster',
        params: closed({ id: Type.String({ description: 'a node number' }) }),
        querystring: readQuery,
        response: replies(200, 'the member', NodeViewSchema)
      }
    },
    async ({ query, params }): Promise<NodeInfo> => {
      await settle(port, query)
      const node = (await port.nodes()).find(({ id }) => String(id) === params.id)
      if (node !== undefined) return node
      throw new AppError('NODE_NOT_FOUND', `id: got ${shown(params.id)}, expected the number of a member`, {
        details: { field: 'id', got: params.id, expected: 'the number of a member' }
      })
    }
  )
}
