/** The cluster and its members. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { AppError } from '../../base/errors.ts'
import { nodeId } from '../../base/ids.ts'
import { ClusterViewSchema, NodeListSchema, NodeViewSchema } from '../../base/wire/cluster.ts'
import type { ClusterInfo, NodeInfo, NodeList } from '../../base/wire/cluster.ts'
import { closed } from '../../base/wire/common.ts'
import { settle } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import type { NodePort } from '../ports.ts'
import { readQuery, replies } from '../schemas.ts'
import { shown } from '../validation.ts'

const nodeParams = closed({ id: Type.String({ description: 'a node number' }) })

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
        params: nodeParams,
        querystring: readQuery,
        response: replies(200, 'the member', NodeViewSchema)
      }
    },
    async ({ query, params }): Promise<NodeInfo> => {
      await settle(port, query)
      return await memberOf(port, params.id)
    }
  )
  leaveRoute(app, port)
}

function leaveRoute(app: FastifyInstance, port: NodePort): void {
  app.post<{ Params: { readonly id: string } }>(
    '/v1/nodes/:id/leave',
    {
      schema: {
        tags: ['cluster'],
        operationId: 'leaveNode',
        summary: 'Have a node leave the cluster',
        description:
          'It gets no further work. When what runs there is over (or, if it is dead, its lease), it is taken out of the ' +
          'configuration and forgotten; its number is never used again.',
        params: nodeParams,
        response: replies(202, 'decided', NodeViewSchema)
      }
    },
    async ({ params }, reply): Promise<NodeInfo> => {
      const { id } = await memberOf(port, params.id)
      await port.leave(nodeId(id))
      reply.code(202)
      return await memberOf(port, params.id)
    }
  )
}

async function memberOf(port: NodePort, text: string): Promise<NodeInfo> {
  const node = (await port.nodes()).find(({ id }) => String(id) === text)
  if (node !== undefined) return node
  throw new AppError('NODE_NOT_FOUND', `id: got ${shown(text)}, expected the number of a member`, {
    details: { field: 'id', got: text, expected: 'the number of a member' }
  })
}
