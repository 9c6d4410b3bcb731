//! The tables behind [`super::service`]: facts only, each list in alphabetical order, one blank between two codes.
//!
//! Sources: the names of `aws ec2 describe-vpc-endpoint-services` (us-east-1, 2026-07) set against the hosts that
//! botocore 1.43's endpoint rules give for the service; for codes that no SDK knows, the endpoint list of
//! `aws-samples/aws-tf-nw-shared-svc` and the services' own guides. A code is listed only where two sources agree.

/// Codes whose ordinary host is `{code}.{region}.{suffix}`.
pub(super) const PLAIN: &str = "\
    access-analyzer acm acm-pca aco-automation agreement-marketplace aiops amplify aoss apigateway \
    app-integrations appconfig appconfigdata application-autoscaling applicationinsights appmesh \
    appmesh-envoy-management apprunner appsync aps aps-workspaces arc-zonal-shift athena auditmanager autoscaling \
    autoscaling-plans b2bi backup backup-gateway batch bedrock bedrock-agent bedrock-agent-runtime \
    bedrock-agentcore bedrock-agentcore-control bedrock-data-automation bedrock-data-automation-runtime \
    bedrock-runtime braket cases cleanrooms cleanrooms-ml cloudcontrolapi clouddirectory cloudformation cloudhsmv2 \
    cloudtrail codebuild codecommit codedeploy codedeploy-commands-secure codeguru-profiler codeguru-reviewer \
    codepipeline cognito-identity cognito-idp comprehend comprehendmedical compute-optimizer config connect \
    connect-campaigns contact-lens controlcatalog controltower cost-optimization-hub databrew dataexchange \
    datasync dax devops-guru directconnect discovery dlm dms drs ds ds-data dynamodb ebs ec2 ec2messages ecs eks \
    elasticache elasticbeanstalk elasticbeanstalk-health elasticfilesystem elasticloadbalancing elasticmapreduce \
    email emr-containers emr-serverless entityresolution events evs finspace finspace-api fis fms \
    forecast forecastquery frauddetector fsx gamelift git-codecommit glue grafana groundstation guardduty \
    guardduty-data healthlake identitystore imagebuilder inspector-scan inspector2 internetmonitor iotfleetwise \
    ivs ivschat ivsrealtime kafka kafkaconnect kendra kinesisanalytics kms lakeformation lambda launchwizard \
    license-manager license-manager-linux-subscriptions license-manager-user-subscriptions lightsail logs \
    lookoutequipment lookoutvision m2 macie2 mail-manager managedblockchain-query \
    media-pipelines-chime mediaconnect mediapackage-vod mediapackagev2 medical-imaging memory-db mgn \
    migrationhub-orchestrator migrationhub-strategy models-v2-lex monitoring mq network-firewall networkmonitor \
    oam observabilityadmin odb osis outposts panorama pca-connector-ad pca-connector-scep pcs personalize \
    personalize-events personalize-runtime pi pinpoint pipes polly profile proton quicksight ram rbin rds rds-data \
    redshift redshift-data redshift-serverless refactor-spaces rekognition repostspace resiliencehub \
    resource-groups rolesanywhere route53profiles route53resolver rum runtime-v2-lex s3 s3-outposts s3tables \
    scheduler schemas scn secretsmanager securityhub securitylake serverlessrepo servicecatalog \
    servicecatalog-appregistry servicediscovery servicequotas signer simspaceweaver snow-device-management sns \
    social-messaging sqs ssm ssm-contacts ssm-incidents ssm-quicksetup ssm-sap ssmmessages states storagegateway \
    sts supportapp swf sync-states synthetics tagging textract timestream-influxdb tnb transcribe \
    transcribestreaming transfer translate verifiedpermissions voiceid vpc-lattice wafv2 wellarchitected wisdom \
    workmail workmailmessageflow workspaces workspaces-web xray";

/// Codes that have only the dual-stack suffix: `{code}.{region}.{dual-stack suffix}`.
pub(super) const DUAL_STACK_ONLY: &str = "\
    application-signals arc-region-switch datazone dsql eks-auth networkflowmonitor s3vectors security-ir \
    workspaces-instances";

/// Codes with an endpoint service of their own for the FIPS name: `com.amazonaws.REGION.{code}-fips`.
pub(super) const HAS_FIPS_ENDPOINT: &str = "\
    access-analyzer acm acm-pca aiops app-integrations appconfigdata athena autoscaling backup batch bedrock \
    bedrock-data-automation bedrock-data-automation-runtime bedrock-runtime cases cleanrooms cloudcontrolapi \
    cloudformation cloudhsmv2 cloudtrail codebuild codecommit codedeploy cognito-identity cognito-idp comprehend \
    config connect connect-campaigns controltower databrew datasync devops-guru directconnect dlm dms drs ds \
    ds-data dynamodb ebs ec2 ecs eks elasticache elasticbeanstalk elasticfilesystem elasticloadbalancing \
    elasticmapreduce email entityresolution events evs fis fms forecast forecastquery fsx git-codecommit glue \
    groundstation guardduty guardduty-data imagebuilder inspector-scan inspector2 internetmonitor kafka \
    kafkaconnect kinesisanalytics kms lakeformation license-manager license-manager-linux-subscriptions \
    license-manager-user-subscriptions logs macie2 mail-manager media-pipelines-chime mediapackagev2 mgn mq \
    network-firewall odb pcs pi pipes polly quicksight ram rbin rds redshift redshift-data redshift-serverless \
    rekognition resource-groups rolesanywhere secretsmanager securityhub securitylake servicecatalog \
    servicediscovery sns social-messaging sqs ssm ssm-incidents ssm-sap storagegateway sts swf synthetics textract \
    timestream-influxdb transcribe transcribestreaming transfer verifiedpermissions wafv2 workspaces \
    workspaces-web xray";

/// Codes whose ordinary name is the FIPS name in GovCloud. `dynamodb` is not among them: AWS lists `dynamodb-fips` there.
pub(super) const GOV_WITHOUT_LABEL: &str = "\
    access-analyzer acm acm-pca appconfig appconfigdata application-autoscaling autoscaling autoscaling-plans \
    batch clouddirectory cloudformation cloudtrail config connect dlm dms ec2 eks elasticache elasticbeanstalk \
    elasticloadbalancing elasticmapreduce emr-containers events fis guardduty identitystore imagebuilder kafka \
    kafkaconnect kinesis-streams logs monitoring outposts ram rds redshift resource-groups route53resolver \
    sagemaker.runtime serverlessrepo servicecatalog-appregistry servicequotas sns sqs ssm sts swf";

/// FIPS names listed for the four US regions of the commercial partition.
pub(super) const FIPS_US: &str = "\
    auditmanager batch cloudformation cloudtrail codebuild codedeploy cognito-identity cognito-idp config databrew \
    drs ecs eks elasticache elasticbeanstalk elasticloadbalancing events glue inspector2 kinesis-firehose \
    kinesis-streams lakeformation lambda license-manager license-manager-linux-subscriptions \
    license-manager-user-subscriptions macie2 mgn monitoring mq rds-data resource-groups rolesanywhere \
    sagemaker.runtime securityhub securitylake servicecatalog signer ssm-contacts sts translate xray";

/// FIPS names listed for the four US regions and ca-central-1.
pub(super) const FIPS_US_AND_CENTRAL_CANADA: &str = "\
    appmesh codecommit codepipeline devops-guru email emr-containers emr-serverless internetmonitor m2 \
    mediapackagev2 network-firewall outposts polly redshift-serverless s3-outposts serverlessrepo \
    servicecatalog-appregistry ssm-incidents ssm-quicksetup ssm-sap textract transcribe";

/// FIPS names listed for the four US regions, ca-central-1 and ca-west-1.
pub(super) const FIPS_US_AND_CANADA: &str = "\
    access-analyzer acm acm-pca apigateway applicationinsights athena autoscaling cloudcontrolapi controltower \
    datasync directconnect ds dynamodb ebs ec2 elasticmapreduce kafka kinesisanalytics logs pi ram rbin redshift \
    route53resolver s3 sagemaker.api secretsmanager servicediscovery sqs ssm states storagegateway swf synthetics \
    transfer verifiedpermissions";
