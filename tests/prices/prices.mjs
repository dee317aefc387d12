// What packaging/prices.mjs lets into the table, and what it leaves out.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'

import { date, from_packages, table_of, text_of, vendors } from '../../packaging/prices.mjs'

const none = { anthropic: [], openai: [], google: [] }

// The price of the model `m`, as the table has it, and why it was left out if it was.
function priced(prices, cost, more = {}) {
  const one = { id: 'm', match: { equals: 'm' }, prices, ...more }
  const why = {}
  const table = table_of({ ...none, openai: [one] }, { ...none, openai: [{ id: 'm', cost }] }, '2026-09-22', (_, id, reason) => (why[id] = reason))
  return { price: table.vendors[1].models.m, why: why.m }
}

test('prices on which both sources agree are whole numbers of nano-USD per thousand tokens', () => {
  assert.deepEqual(priced({ input_mtok: 1.25, output_mtok: 10, cache_read_mtok: 0.125, cache_write_mtok: 0.3 },
    { input: 1.25, output: 10, cache_read: 0.125, cache_write: 0.3 }).price,
  { input: 1250000, output: 10000000, cache_read: 125000, cache_write: 300000 })
})

test('a price on which they disagree is left out, and the script says so', () => {
  for (const cost of [{ input: 2, output: 10 }, { input: 1, output: 11 }, { input: 1, output: 10, cache_read: 0 }, { input: 1, output: 10, cache_write: 1 }]) {
    const { price, why } = priced({ input_mtok: 1, output_mtok: 10 }, cost)
    assert.equal(price, undefined)
    assert.match(why, /disagree/)
  }
})

test('what one of them alone knows, or knows by a prefix, is left out', () => {
  const model = (id, match) => ({ id, match, prices: { input_mtok: 1, output_mtok: 2 } })
  const other = id => ({ id, cost: { input: 1, output: 2 } })
  const table = table_of({ ...none, anthropic: [model('one', { starts_with: 'one' }), model('two', { or: [{ equals: 'two-new' }, { starts_with: 'two' }] })] },
    { ...none, anthropic: ['one-later', 'two-new', 'two-old', 'three'].map(other) }, '2026-09-22')
  assert.deepEqual(Object.keys(table.vendors[0].models), ['two-new'])
})

test('of prices with dates the one of the table\'s day holds, and one that is about to change is left out', () => {
  const dated = start_date => [{ prices: { input_mtok: 9, output_mtok: 9 } },
    { constraint: { type: 'start_date', start_date }, prices: { input_mtok: 1, output_mtok: 2 } }]
  assert.equal(priced(dated('2026-09-22'), { input: 1, output: 2 }).price.input, 1000000)
  assert.match(priced(dated('2026-09-23'), { input: 9, output: 9 }).why, /about to change/)
  assert.match(priced([{ constraint: { type: 'time_of_date', start_time: '1', end_time: '2' }, prices: {} }], { input: 1, output: 2 }).why, /hour/)
})

test('a longer request has its own prices where both say so, from one length on', () => {
  const step = (base, price, start = 200000) => ({ base, tiers: [{ start, price }] })
  const cost = { input: 1, output: 2, context_over_200k: { input: 3, output: 4 } }
  assert.deepEqual(priced({ input_mtok: step(1, 3), output_mtok: step(2, 4) }, cost).price,
    { input: 1000000, output: 2000000, long: { from: 200000, input: 3000000, output: 4000000 } })
  assert.match(priced({ input_mtok: step(1, 3), output_mtok: step(2, 5) }, cost).why, /long requests/)
  assert.match(priced({ input_mtok: 1, output_mtok: 2 }, cost).why, /long requests/)
  assert.match(priced({ input_mtok: step(1, 3), output_mtok: step(2, 4) }, { input: 1, output: 2 }).why, /long requests/)
  assert.match(priced({ input_mtok: step(1, 3), output_mtok: step(2, 4, 9) }, cost).why, /not one/)
})

test('pictures, sounds and vectors are not what a token of text costs', () => {
  assert.match(priced({ input_mtok: 1, output_mtok: 2, output_image_mtok: 3 }, { input: 1, output: 2 }).why, /not of text/)
  assert.match(priced({ input_mtok: 1, output_mtok: 0 }, { input: 1, output: 0 }).why, /no price/)
  assert.match(priced({ input_mtok: 1.00000001, output_mtok: 2 }, { input: 1.00000001, output: 2 }).why, /is no price/)
})

test('the committed table is what these rules make of the pinned packages', () => {
  const committed = readFileSync(new URL('../../host/prices.json', import.meta.url), 'utf8')
  assert.equal(text_of(from_packages(() => {})), committed)
  const table = JSON.parse(committed)
  assert.equal(table.date, date)
  assert.deepEqual(table.vendors.map(vendor => vendor.name), vendors.map(vendor => vendor.name))
  for (const vendor of table.vendors) assert.ok(Object.keys(vendor.models).length > 0, vendor.name)
})
