// The addresses of the server; all are relative to the page's own secret one.

async function ask(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) {
    const text = await response.text();
    let reason = text;
    try { reason = JSON.parse(text).error; } catch { /* plain text */ }
    throw new Error(reason || `${response.status} ${response.statusText}`);
  }
  return response;
}

const json = async (path, options) => (await ask(path, options)).json();
const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const overview = () => json("api/overview");
export const sampleState = () => json("api/sample");
export const describe = (key) => json(`api/items/${key}`);
export const probabilities = (key) => json(`api/items/${key}/probabilities`);
export const decide = (key, decision, stretch) => post(`api/items/${key}/decision`, { decision, stretch });
export const undo = () => post("api/undo", {});
export const audioAddress = (key, part) => `audio/${key}/${part}.wav`;
export const count = (filters) => json(`api/count?${new URLSearchParams(filters)}`);

export function page(filters, after) {
  const query = new URLSearchParams(filters);
  if (after) {
    query.set("after_value", after[0]);
    query.set("after_id", after[1]);
  }
  return json(`api/excerpts?${query}`);
}

export async function spectrogram(key, part) {
  const response = await ask(`spectrogram/${key}/${part}`);
  return {
    columns: Number(response.headers.get("X-Columns")),
    bands: Number(response.headers.get("X-Bands")),
    levels: new Uint8Array(await response.arrayBuffer()),
  };
}
