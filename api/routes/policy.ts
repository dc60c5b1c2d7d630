/** The policy that places tasks: what it is, setting another, and comparing them on this cluster's own history. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import {
  AUTO_POLICY,
  CompareRequestSchema,
  DEFAULT_COMPARED_TASKS,
  PolicyChangeSchema,
  PolicyComparisonSchema,
  PolicyViewSchema
} from '../../base/wire/optimizer.ts'
import type { CompareRequest, PolicyChange, PolicyComparison, PolicyView } from '../../base/wire/optimizer.ts'
import { reference } from '../../base/wire/common.ts'
import { settle } from '../context.ts'
import type { ReadQuery, RouteContext } from '../context.ts'
import type { OptimizerPort } from '../ports.ts'
import { readQuery, replies } from '../schemas.ts'
import { compileCheck, invalid, nearestName } from '../validation.ts'

const checkChange = compileCheck(PolicyChangeSchema, 'body')
const checkCompare = compileCheck(CompareRequestSchema, 'body')

/** Registers the routes. */
export function policyRoutes(app: FastifyInstance, { port, streams }: RouteContext): void {
  app.get<{ Querystring: ReadQuery }>(
    '/v1/policy',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'getPolicy',
        summary: 'The policy that places tasks',
        description:
          'What it decides and how fast only the leader knows: ask that node for `running` and `decisions`.',
        querystring: readQuery,
        response: replies(200, 'the policy', PolicyViewSchema)
      }
    },
    async ({ query }): Promise<PolicyView> => {
      await settle(port, query)
      return port.optimizer.policy()
    }
  )
  app.put<{ Body: unknown }>(
    '/v1/policy',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'setPolicy',
        summary: 'Have another policy place tasks',
        description:
          'It takes over at once, and attempts that run are not touched. With `auto` the leader chooses. The reply is what holds by then.',
        body: reference(PolicyChangeSchema),
        response: replies(200, 'it is set', PolicyViewSchema)
      }
    },
    async ({ body }): Promise<PolicyView> => {
      checkChange(body)
      const { name } = body as PolicyChange
      const { optimizer } = port
      known([name], 'name', [...policyNames(optimizer), AUTO_POLICY])
      await optimizer.setPolicy(name)
      return optimizer.policy()
    }
  )
  app.post<{ Body: unknown }>(
    '/v1/policy/compare',
    {
      schema: {
        tags: ['optimizer'],
        operationId: 'comparePolicies',
        summary: "Replay this cluster's recent history under other policies",
        description:
          'Arrivals, demands and run times are as recorded; `gain` is the share of the mean completion time that a policy ' +
          'saves against the current one, with its 95 % interval. A cluster that never had a queue gains from none. ' +
          'One comparison at a time: 503 OVERLOADED meanwhile.',
        body: reference(CompareRequestSchema),
        response: replies(200, 'the comparison', PolicyComparisonSchema)
      }
    },
    async ({ body }, reply: FastifyReply): Promise<PolicyComparison> => {
      checkCompare(body ?? {})
      const { policies, tasks = DEFAULT_COMPARED_TASKS } = (body ?? {}) as CompareRequest
      const { optimizer } = port
      if (policies !== undefined) known(policies, 'policies', policyNames(optimizer))
      await port.readIndex()
      return optimizer.compare({
        policies: policies ?? policyNames(optimizer),
        tasks,
        signal: streams.signalFor(reply)
      })
    }
  )
}

function policyNames(optimizer: OptimizerPort): string[] {
  return optimizer.policy().available.map(({ name }) => name)
}

/** Throws INVALID_REQUEST for a name that is not among those that can be asked for. */
function known(names: readonly string[], field: string, available: readonly string[]): void {
  for (const name of names) {
    if (available.includes(name)) continue
    throw invalid(field, name, `one of ${available.join(', ')}`, nearestName(name, available))
  }
}
