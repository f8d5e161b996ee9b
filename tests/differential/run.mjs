// Compares a running `wegraph dev` with graphql-js, the reference implementation: random documents, variables and string literals,
// made from the server's own schema, must be refused by both or run by both, and what runs must have the shape that graphql-js gives.
//
//   node tests/differential/run.mjs http://127.0.0.1:8000 [--seed N] [--seconds S | --count N]
//
// GRAPHQL names the folder whose node_modules holds graphql 16.15.0. The server needs rate_limit.enabled=false. Mutations are sent
// without a token, so that nothing random happens to the account, except those that store a string literal.
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";

const takesValue = { type: "string" };
const { values: options, positionals } = parseArgs({
  allowPositionals: true, options: { seed: takesValue, seconds: takesValue, count: takesValue },
});
const [base = "http://127.0.0.1:8000"] = positionals;
const require = createRequire(join(process.env.GRAPHQL ?? process.cwd(), "package.json"));
const g = require("graphql");
const { collectFields, collectSubfields } = require("graphql/execution/collectFields.js");
// Other versions refuse other documents.
if (g.version !== "16.15.0") throw new Error(`graphql is ${g.version} instead of 16.15.0`);

// The value of what may throw, or what is made of the error.
const attempt = (make, otherwise = () => undefined) => {
  try {
    return make();
  } catch (error) {
    return otherwise(error);
  }
};

// --- Chance: a linear congruential generator, since Math.random takes no seed.
const seed = Number(options.seed ?? Math.floor(Math.random() * 1e9));
let state = Math.imul(seed, 0x9e3779b1);
const random = () => ((state = Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const chance = (probability) => random() < probability;
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];
const several = (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make);

// --- The schema, as the server means it.
const schema = g.buildSchema(await (await fetch(`${base}/schema.graphql`)).text());
const roots = { query: schema.getQueryType(), mutation: schema.getMutationType(), subscription: schema.getSubscriptionType() };
const namedTypes = Object.values(schema.getTypeMap());
const nameOfType = g.TypeMetaFieldDef.args[0].type;
const outputs = namedTypes.filter((type) => g.isCompositeType(type) && !type.name.startsWith("__"));
const inputs = namedTypes.filter((type) => g.isInputType(type) && !type.name.startsWith("__"));
const asTime = (value) => {
  const [, day] = /^([1-9]\d{3}-\d\d-\d\d)T([01]\d|2[0-3])(:[0-5]\d){2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/.exec(value) ?? [];
  // To Date the 30th of February is the 2nd of March, and the 13th month an error.
  if (typeof value !== "string" || !day || !new Date(day).toISOString().startsWith(day)) throw new Error("not a DateTime");
  return value;
};
Object.assign(schema.getType("DateTime"), { parseValue: asTime, parseLiteral: (node) => asTime(node.kind === g.Kind.STRING && node.value) });
for (const field of namedTypes.filter(g.isInputObjectType).flatMap((type) => Object.values(type.getFields()))) {
  if (field.defaultValue !== undefined) field.type = g.getNullableType(field.type); // null means the default
}

// --- Values. A node is text that means the same in a literal and in JSON, a list of nodes, { fields }, or { name } of an enum value.
const quoted = (texts) => texts.map((one) => JSON.stringify(one));
const scalars = {
  Int: ["0", "1", "2", "20", "-0", "-7", "2147483647"], Float: ["0", "1", "-1.5", "2.50", "1e2", "1.5E-3"], Boolean: ["true", "false"],
  ID: ['"x"', "5", "-5", '"00000000-0000-7000-8000-000000000000"'], String: ['""', '"a"', '"中\\u4e2d"', '"\\ud83d\\ude00"', '"\\n\\"\\\\\\/"'],
  DateTime: quoted(["2026-01-31T00:00:00Z", "2024-02-29T23:59:59.123456+08:00", "2027-12-01T09:30:00-11:30"]),
};
const inJsonAlso = { Int: ["1.0", "2e1"], ID: ["7.0"] };
const unfit = [
  "null", "1", "2.5", "2147483648", "true", '"text"', { name: "NOPE" }, [], ["null"], ["1"], [["true"]], { fields: [] }, { fields: [["x", "1"]] },
  ...quoted(["soon", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z"]),
];
const malformed = ["01", "1.", ".5", "1e", "0x1F", "1a", "--1", "+1", "'a'", '"open', '"\\x41"', '"\\ud83d"', '"a\nb"', '"\nb"', "$", "%"];
const LITERAL = { kind: "value", takesVariables: true };
const CONSTANT = { kind: "value" };
const JSON_TEXT = { kind: "json", isJson: true };
const printed = (node, { isJson }) => {
  if (Array.isArray(node)) return `[${node.map((item) => printed(item, { isJson })).join(", ")}]`;
  if (node.name) return isJson ? `"${node.name}"` : node.name;
  if (!node.fields) return node;
  return `{${node.fields.map(([name, field]) => `${isJson ? `"${name}"` : name}: ${printed(field, { isJson })}`).join(", ")}}`;
};
function value(type, place, depth = 0) {
  if (slips(place.kind, 2)) return pick(!place.isJson && chance(0.1) ? malformed : unfit);
  if (place.takesVariables ? chance(0.2) : !place.isJson && slips("variable", 0.3)) return variable(type);
  if (!g.isNonNullType(type) && chance(0.04)) return "null";
  const inner = g.getNullableType(type);
  // A single value stands for a list of it.
  if (g.isListType(inner)) return chance(0.2) ? value(inner.ofType, place, depth) : several(0, 2, () => value(inner.ofType, place, depth + 1));
  if (g.isEnumType(inner)) return { name: pick(inner.getValues()).name };
  if (g.isInputObjectType(inner)) return { fields: fieldsOf(inner, place, depth) };
  if (inner.name === "String" && !place.isJson && chance(0.3)) return stringLiteral();
  return pick([...scalars[inner.name], ...((place.isJson && inJsonAlso[inner.name]) || [])]);
}
function fieldsOf(type, place, depth) {
  const all = Object.values(type.getFields());
  const isOne = type.isOneOf && !slips(place.kind, 2);
  const chosen = isOne ? [pick(all)] : all.filter((field) => (g.isRequiredInputField(field) ? !slips(place.kind) : chance(0.6 / (depth + 1))));
  // A field of a oneOf object is nullable in the schema, and takes no null.
  const fields = chosen.map(({ name, type: own }) => [name, value(isOne && !slips(place.kind) ? new g.GraphQLNonNull(own) : own, place, depth + 1)]);
  if (slips(place.kind)) fields.push(["nope", "1"]);
  // What a repeated name means in JSON is no matter of GraphQL.
  if (!place.isJson && fields.length && slips(place.kind)) fields.push(fields[0]);
  return fields;
}
function stringLiteral(first = "", last = "") {
  if (chance(0.5)) {
    const bits = ["b", " ", "  ", "    ", "\t", "\n", "\n\n", "\n  ", "\n     ", "\n\t", "\r\n", "\r", '\\"""', '"', '""', "\\n", "\\u0041", "\\", "#", "中", "😀"];
    return `"""${pick(["", " ", "\n", "\n    "])}${first}${several(0, 9, () => pick(bits)).join("")}${last}${pick(["", "\n", "\n  "])}"""`;
  }
  const bits = ["b", " ", "\t", "#", "中", "😀", "'", "\\n", "\\t", "\\r", '\\"', "\\\\", "\\/", "\\u0041", "\\u4E2d", "\\ud83d\\ude00", "\\u{1F600}", "\\u{e9}"];
  const bad = ["\n", "\r", "\\x", "\\u12", "\\ud83d", "\\ude00\\ud83d", "\\u{}", "\\u{d800}", "\\u{110000}", "\\u{1F600", "\\'"];
  return `"${first}${several(0, 9, () => pick(slips("text") ? bad : bits)).join("")}${last}"`;
}

// --- Documents. In some the pen makes no slip, so that they are likely to be valid; in each of the others it slips in one kind of
// thing, so that no mistake hides behind those of another kind.
let pen;
const slips = (kind, factor = 1) => pen.careless === kind && chance(pen.slip * factor);
const newPen = () => {
  const careless = chance(0.7) ? pick(["field", "value", "json", "variable", "text"]) : undefined;
  return { careless, slip: pick([0.03, 0.1, 0.3]), variables: new Map(), fragments: new Map(), calls: new Map(), keys: new Map() };
};
function variable(type) {
  let own = String(slips("variable", 2) ? pick(inputs) : type);
  if (slips("variable")) own = pick([`[${own}]`, "Nope", "Task", "[[ID]]", own.replace(/!/g, "")]);
  if (!own.endsWith("!") && chance(0.3)) own += "!";
  // With a default a nullable variable may stand where null may not.
  const isLoose = own.endsWith("!") && chance(0.2);
  if (isLoose) own = own.slice(0, -1);
  const lacksDefault = isLoose && slips("variable", 3);
  const needsDefault = isLoose && !lacksDefault;
  const known = [...pen.variables].find(([, declared]) => declared.own === own && (declared.fallback || !needsDefault));
  if (known && chance(0.5)) return `$${known[0]}`;
  const [name, declared, input] = [`v${pen.variables.size}`, { own }, asInput(own)];
  pen.variables.set(name, declared);
  // The default null is none in this matter.
  if (lacksDefault && chance(0.3)) declared.fallback = "null";
  else if (input && (needsDefault || chance(0.15))) declared.fallback = printed(value(needsDefault ? new g.GraphQLNonNull(input) : input, CONSTANT), CONSTANT);
  return `$${name}`;
}
const asInput = (own) => [g.typeFromAST(schema, g.parseType(own))].find(g.isInputType);
const called = (args, likely) => {
  const written = args.filter((arg) => (g.isRequiredArgument(arg) ? !slips("field", 0.3) : chance(likely)));
  const texts = written.map((arg) => `${arg.name}: ${printed(value(arg.type, LITERAL), LITERAL)}`);
  if (slips("field", 0.1)) texts.push("nope: 1");
  if (texts.length && slips("field", 0.2)) texts.push(texts[0]);
  return texts.length ? `(${texts.join(", ")})` : "";
};
const badConditions = [" @skip", " @nope", " @include(if: 1)", " @skip(if: null)", " @skip(if: true) @skip(if: true)", " @oneOf", " @include(unless: true)"];
const conditions = (parent) => {
  // Before September 2025 the specification allowed them here, and graphql-js does.
  if (parent === roots.subscription) return "";
  if (slips("field", 0.2)) return pick(badConditions);
  return ["skip", "include"].filter(() => chance(0.04)).map((name) => ` @${name}${called(schema.getDirective(name).args, 1)}`).join("");
};
const misplaced = (kind) => (slips(kind, 0.3) ? pick([" @skip(if: true)", " @nope"]) : "");
const description = () => (chance(0.05) ? `${stringLiteral()} ` : "");

function selectionSet(type, depth) {
  const most = type === roots.subscription && !slips("field", 3) ? 1 : type === roots.mutation ? 2 : 4;
  return `{ ${several(1, most, () => selection(type, depth)).join(" ")} }`;
}
function selection(type, depth) {
  if (chance(0.06) && type !== roots.subscription) {
    // Its alias is nobody else's: graphql-js does not compare its type with that of a field of the same name; the specification does.
    return `${chance(0.2) ? "typename: " : ""}__typename${slips("field", 0.3) ? pick(["(x: 1)", " { x }"]) : ""}${conditions(type)}`;
  }
  if (depth < 5 && chance(g.isAbstractType(type) ? 0.5 : 0.15)) {
    const on = pick(slips("field") ? outputs : outputs.filter((other) => g.doTypesOverlap(schema, type, other)));
    if (chance(0.3)) return `...${conditions(type)} ${selectionSet(type, depth + 1)}`;
    if (chance(0.5)) return `...${spread(type, on, depth)}${conditions(type)}`;
    return `... on ${slips("field", 0.2) ? pick(["Nope", "Int", "TaskFilter"]) : on.name}${conditions(type)} ${selectionSet(on, depth + 1)}`;
  }
  if (slips("field", 0.1)) return pick(["nope", "__schema { x }", "id { x }"]);
  if (type === roots.query && chance(0.04)) {
    if (chance(0.3)) return "__schema { queryType { name } directives { name args { name } } }";
    const name = chance(0.3) ? printed(value(nameOfType, LITERAL), LITERAL) : `"${pick([...namedTypes, { name: "Nope" }]).name}"`;
    return `__type(name: ${name}) { kind fields { name type { ofType { kind } } } inputFields { name } }`;
  }
  const all = Object.values(type.getFields());
  const leaves = all.filter((one) => g.isLeafType(g.getNamedType(one.type)));
  const oneOfs = all.filter((one) => one.args.some((arg) => g.getNamedType(arg.type).isOneOf));
  if (depth >= 5 && !leaves.length) return "__typename";
  return field(pick(oneOfs.length && chance(0.1) ? oneOfs : depth >= 5 || (leaves.length && chance(0.4)) ? leaves : all), type, depth);
}
function field({ name, args, type }, parent, depth) {
  // The same arguments again, or another response key: so fields can merge.
  if (!pen.calls.has(name) || chance(0.3)) pen.calls.set(name, called(args, 0.25));
  const means = name + pen.calls.get(name);
  let key = chance(0.12) ? pick(["a", "b", "c", "title", "nodes"]) : name;
  if ((pen.keys.get(key) ?? means) !== means && !slips("field", 5)) key = `${name}${pen.keys.size}`;
  pen.keys.set(key, means);
  const inner = g.getNamedType(type);
  const set = g.isCompositeType(inner) !== slips("field", 0.1) ? ` ${selectionSet(g.isCompositeType(inner) ? inner : roots.query, depth + 1)}` : "";
  return `${key === name ? "" : `${key}: `}${means}${conditions(parent)}${set}`;
}
// The name of a fragment, perhaps one that is there.
function spread(type, on, depth) {
  if (slips("field", 0.3)) return "Nowhere";
  // One that is still being written would be a cycle.
  const usable = [...pen.fragments].filter(([, known]) => slips("field") || (known.text && g.doTypesOverlap(schema, type, known.on)));
  if (usable.length && chance(0.4)) return pick(usable)[0];
  const [name, made] = [`F${pen.fragments.size}`, { on, text: "" }];
  pen.fragments.set(name, made);
  const set = selectionSet(on, depth + 1);
  made.text = `${description()}fragment ${name} on ${on.name}${misplaced("field")} ${set}`;
  return name;
}
function operation(kind, name) {
  const set = selectionSet(roots[kind], 0);
  const has = (source, sign, one) => new RegExp(`${sign}${one}\\b`).test(source);
  let reached = set;
  // Once for each fragment is enough for those that only fragments reach.
  for (const _ of pen.fragments) reached = set + [...pen.fragments].map(([one, made]) => (has(reached, "\\.{3}", one) ? made.text : "")).join(" ");
  const used = [...pen.variables].filter(([one]) => has(reached, "\\$", one) !== slips("variable"));
  const declared = used.map(([one, { own, fallback }]) => `${description()}$${one}: ${own}${fallback ? ` = ${fallback}` : ""}${misplaced("variable")}`);
  if (declared.length && slips("variable", 0.5)) declared.push(declared[0]);
  if (kind === "query" && !declared.length && name === "" && chance(0.5)) return (slips("text") ? description() : "") + set;
  return `${description()}${kind} ${name}${declared.length ? `(${declared.join(", ")})` : ""}${misplaced("field")} ${set}`;
}
const signs = ["{", "}", "(", ")", "...", ":", "!", "@", "&", "|", "=", "on", "$", "[", "]"];
const gaps = [" ", "\n", "\r\n", "\r", "\t", ",", " , ,", "\ufeff", " # } \" {\n", "#\r", "\n#中\r\n"];
// The same tokens, or nearly so, with other things between them that do not count.
function respelled(source) {
  const [lexer, tokens] = [new g.Lexer(new g.Source(source)), []];
  // What follows after something that is no token stays as it is.
  const next = () => attempt(() => lexer.advance(), () => ({ kind: "<EOF>", start: lexer.token.end }));
  let token = next();
  for (; token.kind !== "<EOF>"; token = next()) tokens.push(source.slice(token.start, token.end));
  const at = below(tokens.length);
  if (slips("text", 5)) tokens.splice(at, below(3), ...pick([[], [tokens[at], tokens[at]], [pick(signs)]]));
  return pick(["", "\ufeff", "# first\n"]) + tokens.map((one) => one + pick(gaps)).join("") + source.slice(token.start) + pick(["", "# last"]);
}
const strangers = ["fragment Unused on Task { id }", "type Foreign { id: ID }", "fragment on on Task { id }", "extend type Task { x: Int }"];

function makeRequest() {
  pen = newPen();
  const literal = chance(0.08) && stringLiteral("a", "c");
  // Stored notes have no white space around them.
  if (literal) return { query: `mutation { createTask(input: {title: "t", notes: ${literal}}) { task { id notes } } }`, variables: "{}", literal };
  const kinds = [chance(0.1) ? "subscription" : chance(0.3) ? "mutation" : "query", ...(chance(0.1) ? [pick(["query", "mutation"])] : [])];
  const isNamed = kinds.length > 1 ? !slips("text", 2) : chance(0.7);
  const names = kinds.map((_, index) => (!isNamed ? "" : slips("text") ? "Op" : `Op${index}`));
  const operations = kinds.map((kind, index) => operation(kind, names[index]));
  const parts = [...operations, ...[...pen.fragments.values()].map((made) => made.text)];
  if (slips("text")) parts.push(pick([...strangers, parts.at(-1)]));
  if (chance(0.3)) parts.reverse();
  const source = parts.join(pick([" ", "\n"]));
  const values = [...pen.variables].flatMap(([name, { own, fallback }]) => {
    const input = asInput(own);
    if (own.endsWith("!") && !fallback ? slips("json", 0.5) : chance(0.3)) return [];
    return [`"${name}": ${input ? printed(value(input, JSON_TEXT), JSON_TEXT) : 1}`];
  });
  if (chance(0.05)) values.push('"unheardOf": {"x": [1]}');
  return { query: chance(0.2) || slips("text", 5) ? respelled(source) : source, name: pick(names), variables: `{${values.join(", ")}}` };
}

// --- What graphql-js says of it.
// A nullable variable as the field of a oneOf object is not valid (specification of September 2025, section 5.8.5). graphql-js 16.12
// to 16.15 overlooks it where the type of the object is non-null; 16.11 did not.
const nullableInOneOf = (context) => ({
  OperationDefinition(node) {
    for (const usage of context.getRecursiveVariableUsages(node)) {
      const declared = node.variableDefinitions.find((one) => one.variable.name.value === usage.node.name.value);
      if (g.getNullableType(usage.parentType)?.isOneOf && declared.type.kind !== g.Kind.NON_NULL_TYPE) context.reportError(new g.GraphQLError("oneOf"));
    }
  },
});
function ask({ query, name, variables }) {
  const parsed = attempt(() => g.parse(query), (error) => error);
  if (parsed instanceof Error) return { refusal: parsed.message };
  // Equal strings are equal arguments, also when one is a block string; graphql-js compares how they are written.
  const document = g.visit(parsed, { StringValue: (string) => ({ ...string, block: false }) });
  const [invalid] = g.validate(schema, document);
  if (invalid) return { refusal: invalid.message };
  if (g.validate(schema, document, [nullableInOneOf]).length) return { refusal: "by the specification", stated: "a nullable variable in a oneOf object, refused" };
  const node = g.getOperationAST(document, name || undefined);
  if (!node) return { refusal: "no operation of this name" };
  const isSubscription = node.operation === "subscription";
  const { errors, coerced } = g.getVariableValues(schema, node.variableDefinitions ?? [], JSON.parse(variables));
  return errors ? { refusal: errors[0].message, isSubscription } : { document, node, coerced, isSubscription };
}

// --- What is wrong with the answer to a document that runs; undefined when it has the right shape.
const metaFields = { __typename: g.TypeNameMetaFieldDef, __schema: g.SchemaMetaFieldDef, __type: g.TypeMetaFieldDef };
const isText = (found) => typeof found === "string";
const leaves = {
  Int: (found) => (found | 0) === found, Float: (found) => typeof found === "number", Boolean: (found) => typeof found === "boolean",
  String: isText, ID: isText, DateTime: (found) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(found),
};
function fault({ document, node, coerced }, { data, errors = [] }) {
  const fragments = Object.fromEntries(document.definitions.filter((one) => one.kind === g.Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  const inObject = (type, fields, found, path) => {
    const [is, due] = [Object.keys(found).join(), [...fields.keys()].join()];
    if (is !== due) return `${path} has the fields ${is} instead of ${due}`;
    for (const [key, nodes] of fields) {
      const [name, at] = [nodes[0].name.value, `${path}.${key}`];
      const definition = metaFields[name] ?? type.getFields()[name];
      if (name === "__typename" && found[key] !== type.name) return `${at} is ${found[key]} instead of ${type}`;
      if (found[key] !== null && !attempt(() => g.getArgumentValues(definition, nodes[0], coerced))) return `${at} ran without a required argument`;
      const wrong = inValue(definition.type, nodes, found[key], at);
      if (wrong) return wrong;
    }
  };
  const inValue = (type, nodes, found, path) => {
    const inner = g.getNullableType(type);
    if (found === null) return inner === type ? undefined : `${path} is null, and its type is ${type}`;
    if (g.isListType(inner) && Array.isArray(found)) return found.map((item, index) => inValue(inner.ofType, nodes, item, `${path}.${index}`)).find(Boolean);
    const fits = g.isEnumType(inner) ? inner.getValue(found) : g.isScalarType(inner) ? leaves[inner.name](found) : typeof found === "object" && !g.isListType(inner);
    if (!fits) return `${path} is ${JSON.stringify(found)}, and its type is ${type}`;
    if (g.isLeafType(inner)) return;
    const types = g.isAbstractType(inner) ? schema.getPossibleTypes(inner) : [inner];
    const wrong = types.map((one) => inObject(one, collectSubfields(schema, fragments, coerced, one, nodes), found, path));
    return wrong.includes(undefined) ? undefined : wrong[0];
  };
  for (const { message, path, extensions } of errors) {
    if (!path) return `an error without a path: ${message}`;
    if (path.reduce((at, step) => (at === null ? null : at?.[step]), data) !== null) return `an error at ${path.join(".")}, where there is no null: ${message}`;
    // That a variable with a default is null where null may not be is found only when the field is executed.
    if (extensions?.code?.startsWith("GRAPHQL_") && !Object.values(coerced).includes(null)) return `refused while it ran: ${message}`;
  }
  if (data === null) return errors.length ? undefined : "data is null without an error";
  const root = roots[node.operation];
  return inObject(root, collectFields(schema, fragments, coerced, root, node.selectionSet), data, "data");
}

// --- The comparison.
const post = async (body, token) => {
  const headers = { "content-type": "application/json", "accept-language": "en", ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(`${base}/graphql`, { method: "POST", headers, body });
  const reply = await response.text();
  return { status: response.status, reply, answer: reply.startsWith("{") ? JSON.parse(reply) : {} };
};
const signIn = async () => {
  // The last part makes the code a new one: each is good once.
  const query = `mutation { login(input: {wechat: {code: "sim-differential-${Math.random()}"}}) { accessToken } }`;
  const { answer, reply } = await post(JSON.stringify({ query }));
  if (!answer.data) throw new Error(`no sign-in: ${reply}`);
  return answer.data.login.accessToken;
};
const counts = { refused: 0, run: 0, beyond: 0, socket: 0, different: 0 };
// Where we do what the specification says, and graphql-js does not.
const apart = new Map();
const add = (map, kind) => void map.set(kind, (map.get(kind) ?? 0) + 1);

// Counts an answer, or says in words how it differs.
function judge(request, { status, answer, reply }) {
  const errors = answer.errors ?? [];
  const says = (...codes) => errors.find(({ extensions }) => codes.includes(extensions?.code));
  if (status >= 500 || says("INTERNAL_SERVER_ERROR", "REQUEST_TIMEOUT") || !(answer.errors || answer.data)) return `status ${status}: ${reply}`;
  if (says("QUERY_TOO_COMPLEX")) return void counts.beyond++;
  const right = ask(request);
  const error = says("GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED");
  const isRefused = error && !("data" in answer) && !errors.some(({ path }) => path);
  const namesSocket = error?.message.includes("WebSocket");
  // Said before the variables are looked at.
  if (isRefused && namesSocket && right.isSubscription) return void counts.socket++;
  if (right.refusal && isRefused && !namesSocket) return right.stated ? add(apart, right.stated) : void counts.refused++;
  if (right.refusal) return `graphql-js refuses it: ${right.refusal}`;
  if (isRefused) return `graphql-js runs it: ${error.message}`;
  const wrong = attempt(() => fault(right, answer), (thrown) => thrown);
  // Section 6.3.2 asks whether the variable, which has a default, is true, and null is not; graphql-js makes an error of it.
  if (/^Argument "if" .* must not be null/.test(wrong?.message)) return add(apart, "null in a condition, run");
  if (wrong instanceof Error) throw wrong;
  if (wrong) return wrong;
  if (request.literal) {
    const [stored, meant] = [answer.data?.createTask.task.notes, g.parseValue(request.literal).value];
    if (stored !== meant.trim()) return `a string is ${JSON.stringify(stored)} instead of ${JSON.stringify(meant)}`;
    if (scalars.ID.length < 20) scalars.ID.push(JSON.stringify(answer.data.createTask.task.id));
  }
  counts.run++;
}

console.log(`seed ${seed}`);
const kinds = new Map();
const end = options.count ? Infinity : Date.now() + Number(options.seconds ?? 20) * 1000;
let [token, renewAt, total] = [undefined, 0, 0];
for (; total < Number(options.count ?? Infinity) && Date.now() < end; total++) {
  // Tokens last 15 minutes.
  if (Date.now() > renewAt) [token, renewAt] = [await signIn(), Date.now() + 600_000];
  if (total === 0) {
    // Ids and names of what is there, so that not every lookup answers null.
    const { answer } = await post('{"query": "{ viewer { id } rubrics { nodes { id slug } } }"}', token);
    scalars.ID.push(...quoted([answer.data.viewer.id, ...answer.data.rubrics.nodes.map(({ id }) => id)]));
    scalars.String.push(...quoted(answer.data.rubrics.nodes.map(({ slug }) => slug)));
  }
  const request = makeRequest();
  const name = request.name ? `"operationName": "${request.name}", ` : "";
  const body = `{"query": ${JSON.stringify(request.query)}, ${name}"variables": ${request.variables}}`;
  const result = await post(body, request.literal || !request.query.includes("mutation") ? token : undefined);
  const difference = judge(request, result);
  if (!difference) continue;
  counts.different++;
  const kind = difference.replace(/"(?:[^"\\]|\\.)*"/g, '"…"').replace(/\d+/g, "N").slice(0, 100);
  const known = kinds.get(kind) ?? { number: 0, body: "" };
  known.number++;
  // The shortest is the easiest to read.
  if (!known.body || body.length < known.body.length) Object.assign(known, { difference, body, reply: result.reply });
  kinds.set(kind, known);
}
for (const { number, difference, body, reply } of kinds.values()) {
  console.log(`DIFFERENT, ${number} times: ${difference.slice(0, 400)}\n  answer: ${reply.slice(0, 400)}\n  request: ${body}`);
}
for (const [kind, number] of apart) console.log(`${number} as the specification has it, and not graphql-js: ${kind}`);
const { refused, run, beyond, socket, different } = counts;
console.log(`${total} documents: ${refused} refused by both, ${run} run by both, ${beyond} beyond limits, ${socket} over WebSocket only, ${different} different`);
// A test that meets only one of the two cannot fail for the other.
process.exit(different > 0 || refused * 10 < total || run * 10 < total || total === 0 ? 1 : 0);
