"use strict";
(() => {
  const endpoint = document.querySelector("meta[name=graphql-endpoint]").content;
  const socket = new URL(endpoint + "/ws", location.href);
  socket.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const welcome = `# Welcome to WeGraph. Press the play button to run this query: it needs no account.
#
# To try the rest, replace it by a mutation, for example:
#
#   mutation { register(input: {username: "lin", password: "Tr4verse-it"}) { accessToken } }
#
# then open "Headers" below and paste the token:
#
#   {"Authorization": "Bearer <accessToken>"}
#
#   mutation {
#     submitScore(input: {
#       accountNumber: "13800138000"
#       grades: [
#         {criterion: "grade1", grade: 5}
#         {criterion: "grade2", grade: 4, comment: "很好"}
#         {criterion: "grade3", grade: 5}
#       ]
#     }) { message score { id total } }
#   }
#
#   mutation { createTask(input: {title: "Read the docs"}) { task { id version } } }
#
# and, in another tab of the editor, watch your tasks change:
#
#   subscription { taskChanged { kind task { title status } } }

query Welcome {
  viewer {
    displayName
  }
  rubric(slug: "default") {
    title
    state
    criteria {
      key
      title
      minGrade
      maxGrade
    }
  }
}
`;
  const root = document.getElementById("graphiql");
  if (!window.GraphiQL || !window.React || !window.ReactDOM) {
    root.textContent = "The files of GraphiQL could not be loaded.";
    return;
  }
  const fetcher = GraphiQL.createFetcher({ url: endpoint, subscriptionUrl: socket.href });
  ReactDOM.createRoot(root).render(
    React.createElement(GraphiQL, {
      fetcher,
      defaultQuery: welcome,
      defaultEditorToolsVisibility: "headers",
      isHeadersEditorEnabled: true,
      // A token must not outlive the tab in the browser's storage.
      shouldPersistHeaders: false,
    }),
  );
})();
