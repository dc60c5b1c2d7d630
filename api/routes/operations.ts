/** What operators and their tools read: health, metrics and the description of the API itself. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { HealthSchema } from '../../base/wire/cluster.ts'
import type { Health } from '../../base/wire/cluster.ts'
import { reference } from '../../base/wire/common.ts'
import type { RouteContext } from '../context.ts'

const health = { content: { 'application/json': { schema: reference(HealthSchema) } } }
const response = {
  200: { description: 'it is well', ...health },
  503: { description: 'it is not', ...health }
}

/** Registers the routes. */
export function operationRoutes(app: FastifyInstance, { port }: RouteContext): void {
  const answer = (reply: FastifyReply, report: Health): Health => {
    reply.code(report.ok ? 200 : 503)
    return report
  }
  app.get(
    '/livez',
    {
      schema: {
        tags: ['operations'],
        operationId: 'livez',
        summary: 'Whether the process works at all',
        response
      }
    },
    (_request, reply) => reply.send(answer(reply, port.live()))
  )
  app.get(
    '/readyz',
    {
      schema: {
        tags: ['operations'],
        operationId: 'readyz',
        summary: 'Whether the node takes requests',
        response
      }
    },
    async (_request, reply) => answer(reply, await port.ready())
  )
  app.get(
    '/metrics',
    {
      schema: {
        tags: ['operations'],
        operationId: 'metrics',
        summary: 'Metrics in the Prometheus text format',
        response: {
          200: { description: 'metrics', content: { 'text/plain': { schema: { type: 'string' } } } }
        }
      }
    },
    async (_request, reply) => {
      const { contentType, text } = await port.metrics()
      return reply.type(contentType).send(text)
    }
  )
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => reply.send(app.swagger()))
}
